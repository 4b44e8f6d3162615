"""The tests' own builder builds what kustomize builds, and refuses what it does not know."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.json_patch import PatchError, patched
from tests.k8s.kustomize import UnsupportedKustomizationError, build, content_hash
from tests.k8s.manifests import ALL, K8S, NAMES, resources

KUSTOMIZE = next(
    (
        command
        for command in (["kustomize", "build"], ["kubectl", "kustomize"])
        if shutil.which(command[0]) is not None
    ),
    None,
)


def by_identity(found: Any) -> dict[tuple[str, str, str], Any]:
    return {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in found
    }


@pytest.mark.skipif(KUSTOMIZE is None, reason="neither kustomize nor kubectl is installed")
@pytest.mark.parametrize("folder", ALL, ids=NAMES)
def test_as_the_real_kustomize_builds_it(folder: Path) -> None:
    assert KUSTOMIZE is not None
    result = subprocess.run([*KUSTOMIZE, folder], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    # No field of ours is deprecated, either.
    assert result.stderr == ""
    assert by_identity(resources(folder.name)) == by_identity(yaml.safe_load_all(result.stdout))


def test_every_component_is_in_a_combination() -> None:
    used = set()
    for folder in ALL:
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
        used |= {Path(name).name for name in kustomization.get("components", [])}
    assert used == {path.parent.name for path in (K8S / "components").glob("*/kustomization.yaml")}


@pytest.mark.parametrize("name", NAMES)
def test_every_resource_is_there_once_and_in_the_namespace(name: str) -> None:
    found = resources(name)
    assert len(by_identity(found)) == len(found)
    for one in found:
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "sportvision", one["metadata"]


def test_the_hash_is_kustomizes() -> None:
    # Of `configMapGenerator: [{name: a, literals: [a=b]}]`, kustomize 5.5.0.
    assert content_hash({"metadata": {"name": "a"}, "data": {"a": "b"}}) == "4h2mbtbbt6"


@pytest.mark.parametrize(
    "text",
    [
        "kind: Kustomization\nvars: []\n",
        "kind: Kustomization\nconfigMapGenerator: [{name: a, literals: [a=b]}]\n",
        "kind: Kustomization\nresources: [../outside.yaml]\n",
        "kind: Kustomization\npatches: [{path: merge.yaml}]\n",
        "kind: Kustomization\npatches: [{target: {kind: Deployment, name: gone}, patch: '[]'}]\n",
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text("{}", encoding="utf-8")
    (folder / "kustomization.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UnsupportedKustomizationError):
        build(folder)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/gone", "value": 1},
        {"op": "remove", "path": "/gone"},
        {"op": "test", "path": "/here", "value": 2},
        {"op": "add", "path": "/gone/deeper", "value": 1},
        {"op": "move", "path": "/here", "from": "/list"},
    ],
)
def test_a_patch_that_does_not_fit_is_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError):
        patched({"here": 1, "list": []}, [operation])
