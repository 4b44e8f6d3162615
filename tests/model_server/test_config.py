from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from model_server.config import model_sources, read_config_file, single_model_config
from model_server.errors import ServingError
from model_server.versions import VersionPolicy

ROOT = Path(__file__).parents[2]
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def _config(*rows: str) -> Any:
    text = "model_config_list {" + " ".join(f"config {{ {row} }}" for row in rows) + "}"
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())


def _row(name: str = "m", path: str = "/models/m", more: str = 'model_platform: "tensorflow"') -> str:
    return f'name: "{name}" base_path: "{path}" {more}'


def test_the_shipped_configuration() -> None:
    sources = model_sources(
        read_config_file(ROOT / "serving_config" / "models.config"), [("/models", "/some/dir")]
    )
    # Which models it must have is tests/shipping's business.
    assert "sport_classifier" in [source.name for source in sources]
    for source in sources:
        assert (source.base_path, source.policy) == (Path("/some/dir") / source.name, VersionPolicy(latest=1))


def test_a_single_model() -> None:
    (source,) = model_sources(single_model_config("m", "/models/m"))
    assert (source.name, source.base_path, source.policy) == ("m", Path("/models/m"), VersionPolicy(latest=1))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", VersionPolicy(latest=1)),
        ("latest {}", VersionPolicy(latest=1)),
        ("latest { num_versions: 3 }", VersionPolicy(latest=3)),
        ("all {}", VersionPolicy(all=True)),
        ("specific { versions: 4 versions: 2 }", VersionPolicy(specific=frozenset({2, 4}))),
    ],
)
def test_policies(policy: str, expected: VersionPolicy) -> None:
    (source,) = model_sources(_config(_row() + f" model_version_policy {{ {policy} }}"))
    assert source.policy == expected


def test_labels() -> None:
    (source,) = model_sources(_config(_row() + ' version_labels { key: "stable" value: 4 }'))
    assert source.labels == {"stable": 4}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/models/m", "/local/m"),
        ("/models", "/local"),
        ("/models/a/b/", "/local/a/b"),
        ("/models2/m", "/models2/m"),
        ("/elsewhere", "/elsewhere"),
    ],
)
def test_base_paths_are_mapped_by_whole_components(path: str, expected: str) -> None:
    (source,) = model_sources(_config(_row(path=path)), [("/models", "/local")])
    assert source.base_path == Path(expected)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([_row(), _row()], "Illegal to list model m multiple times in config list"),
        ([_row(more="")], "Illegal setting neither model_type(deprecated) nor model_platform."),
        (
            [_row(more='model_platform: "tensorflow" model_type: TENSORFLOW')],
            "Illegal setting both model_type(deprecated) and model_platform.",
        ),
        ([_row(more='model_platform: "other"')], "Model m has platform other; only tensorflow can be served"),
        (
            [_row(path="models/m")],
            "Expected model m to have an absolute path or URI; got base_path()=models/m",
        ),
        (
            [_row(path="gs://bucket/m")],
            "Model m has base path gs://bucket/m; only local directories can be served",
        ),
    ],
)
def test_what_cannot_be_served_is_refused(rows: list[str], message: str) -> None:
    with pytest.raises(ServingError) as info:
        model_sources(_config(*rows))
    assert (info.value.code, info.value.message) == (INVALID, message)


def test_the_deprecated_model_type_still_works() -> None:
    assert len(model_sources(_config(_row(more="model_type: TENSORFLOW")))) == 1


def test_a_custom_config_is_refused() -> None:
    config = model_server_config_pb2.ModelServerConfig()
    config.custom_model_config.SetInParent()
    with pytest.raises(ServingError) as info:
        model_sources(config)
    assert info.value.code is grpc.StatusCode.FAILED_PRECONDITION


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("no config", encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("bad", "binary", "missing"):
        with pytest.raises(ServingError) as info:
            read_config_file(tmp_path / name)
        assert info.value.code is INVALID
