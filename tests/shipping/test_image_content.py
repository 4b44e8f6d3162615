"""What the Dockerfile copies and installs is enough to run the gateway, and holds no TensorFlow.

The image is imitated: a folder with what COPY takes, beside a folder with the files of the packages in
requirements-gateway.lock and of no other, and a Python that sees those two alone.
"""

import json
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.shipping.dockerfile import ROOT, image_files

PROBE = Path(__file__).with_name("gateway_probe.py")


def locked_packages() -> set[str]:
    """Return the names in the gateway's lock that this platform takes."""
    lines = (ROOT / "requirements-gateway.lock").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line.rstrip(" \\")) for line in lines if line and line[0].isalnum()]
    return {pin.name for pin in pins if pin.marker is None or pin.marker.evaluate()}


def link_packages(folder: Path) -> None:
    """Link the files of the locked packages, file by file: some packages share a folder."""
    for name in locked_packages():
        files = distribution(name).files
        assert files, name
        for file in files:
            if file.parts[0] == ".." or "__pycache__" in file.parts:
                continue
            link = folder / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(str(file.locate())))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's content: its working directory as `app`, its packages as `site`."""
    root = tmp_path_factory.mktemp("image")
    for name, file in image_files().items():
        target = root / "app" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    link_packages(root / "site")
    return root


def run(image: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    # -I and -S: neither the checkout nor this environment's packages can be seen. -B: write no bytecode.
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", *command],
        cwd=image / "app",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def seen(image: Path) -> dict[str, Any]:
    before = sorted(image.rglob("*"))
    result = run(image, PROBE, image / "app", image / "site")
    assert result.returncode == 0, result.stderr
    # The root file system may be read-only.
    assert sorted(image.rglob("*")) == before
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_the_gateway_runs_on_what_is_in_the_image(seen: dict[str, Any]) -> None:
    assert seen["statuses"] == {"/healthz": 200, "/openapi.json": 200}
    assert {"accounts", "app", "catalogue", "preprocessing", "proto_client"} <= set(seen["modules"])


def test_the_gateway_has_no_tensorflow_there(seen: dict[str, Any]) -> None:
    assert (
        set(seen["modules"]) & {"tensorflow", "keras", "tensorflow_serving", "training", "model_server"}
        == set()
    )


@pytest.mark.parametrize(
    "module", ["tensorflow", "keras", "h5py", "grpc_tools", "training", "model_server", "pytest"]
)
def test_the_image_does_not_hold(image: Path, module: str) -> None:
    script = (
        "import sys; from importlib.util import find_spec; sys.path[:0] = sys.argv[2:]; "
        "sys.exit(find_spec(sys.argv[1]) is not None)"
    )
    assert run(image, "-c", script, module, image / "app", image / "site").returncode == 0


def test_the_catalogue_is_in_the_image_with_its_data(image: Path) -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]; from catalogue.cli import main; sys.exit(main(['check']))"
    )
    result = run(image, "-c", script, image / "app")
    assert result.returncode == 0, result.stderr
    assert "sports in" in result.stdout
