from pathlib import Path

import pytest

from model_server.flags import IGNORED_FLAGS, Flags, parse_flags

CONFIG = "--model_config_file=models.config"


def test_both_spellings() -> None:
    assert parse_flags([CONFIG, "--port=1", "--model_name", "m"]) == Flags(
        port=1, model_name="m", model_config_file=Path("models.config")
    )


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("--enable_batching", True),
        ("--enable_batching=true", True),
        ("--enable_batching=1", True),
        ("--enable_batching=false", False),
        ("--enable_batching=0", False),
    ],
)
def test_booleans(argument: str, value: bool) -> None:
    assert parse_flags([CONFIG, argument]).enable_batching is value


def test_a_boolean_before_another_flag() -> None:
    flags = parse_flags(["--enable_batching", CONFIG, "--port=9"])
    assert (flags.enable_batching, flags.port) == (True, 9)


def test_base_paths_are_mapped_to_absolute_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = parse_flags([CONFIG, "--base_path_map=/models=some/dir", "--base_path_map=/x/=/y"])
    assert flags.base_path_map == (("/models", str(tmp_path / "some" / "dir")), ("/x", "/y"))


def test_channel_arguments() -> None:
    flags = parse_flags([CONFIG, "--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.lb=a"])
    assert flags.grpc_channel_arguments == (("grpc.max_connection_age_ms", 2000), ("grpc.lb", "a"))


def test_precision() -> None:
    assert parse_flags([CONFIG]).mixed_precision == ""
    assert parse_flags([CONFIG, "--mixed_precision=bfloat16"]).mixed_precision == "bfloat16"


def test_flags_of_the_real_server_without_effect_are_named() -> None:
    flags = parse_flags([CONFIG, "--rest_api_port=8501", "--flush_filesystem_caches"])
    assert flags.ignored == ("rest_api_port", "flush_filesystem_caches")
    assert set(flags.ignored) <= set(IGNORED_FLAGS)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [CONFIG, "--no_such_flag=1"],
        [CONFIG, "--mod=x"],
        [CONFIG, "--enable_batching=maybe"],
        [CONFIG, "--base_path_map=models=dir"],
        [CONFIG, "--base_path_map=/models"],
        [CONFIG, "--grpc_channel_arguments=key"],
        [CONFIG, "--grpc_max_threads=0"],
        [CONFIG, "--max_num_load_retries=-1"],
        [CONFIG, "--mixed_precision=float8"],
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        parse_flags(arguments)
    assert exit_info.value.code == 2
    assert "usage:" in capsys.readouterr().err
