"""The house rules that a reader could break without noticing."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "app": {"app", "proto_client", "preprocessing", "catalogue", "accounts", "agreement"},
    "accounts": {"accounts"},
    "proto_client": {"proto_client"},
    "model_server": {"model_server"},
    "training": {"training", "preprocessing", "catalogue"},
    "catalogue": {"catalogue"},
    "preprocessing": set(),
    "rollout": {"rollout", "proto_client", "preprocessing", "catalogue", "agreement"},
    "agreement": set(),
}
NEVER_TENSORFLOW = ("app", "accounts", "proto_client", "catalogue", "preprocessing", "rollout", "agreement")
TENSORFLOW = {"tensorflow", "keras", "tensorflow_serving", "h5py"}


def sources(name: str) -> list[Path]:
    single = ROOT / f"{name}.py"
    return [single] if single.exists() else sorted((ROOT / name).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_imports_point_one_way(name: str) -> None:
    files = sources(name)
    assert files
    for path in files:
        ours = set(imported(path)) & (set(MAY_IMPORT) | {"tests", "scripts", "benchmarks"})
        assert ours <= MAY_IMPORT[name], path


@pytest.mark.parametrize("name", NEVER_TENSORFLOW)
def test_the_gateway_s_side_never_imports_tensorflow(name: str) -> None:
    for path in sources(name):
        if "generator" not in path.parts:  # run by developers, never imported by the package
            assert not set(imported(path)) & TENSORFLOW, path


def test_accounts_know_nothing_of_http_and_pictures() -> None:
    for path in sources("accounts"):
        assert not set(imported(path)) & {"fastapi", "starlette", "uvicorn", "grpc", "PIL", "numpy"}, path


def test_locks_name_no_registry() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        assert not re.search(r"https?://|--(extra-)?index|--find-links", lock.read_text("utf-8")), lock


def test_no_pictures_or_training_weights_are_committed() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    tracked = [Path(line) for line in listed.stdout.splitlines()]
    unwanted = {".jpg", ".jpeg", ".webp", ".h5", ".keras", ".tar"}
    assert not [path for path in tracked if path.suffix.lower() in unwanted]


def test_shipped_versions_are_whole_and_small() -> None:
    versions = [path for path in (ROOT / "models").glob("*/*") if path.is_dir()]
    assert versions
    for version in versions:
        assert version.name.isdecimal()
        for name in (
            "saved_model.pb",
            "card.json",
            "MODEL_CARD.md",
            "assets.extra/tf_serving_warmup_requests",
        ):
            assert (version / name).is_file(), version / name
        assert sum(path.stat().st_size for path in version.rglob("*")) < 25_000_000, version
