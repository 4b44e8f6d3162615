"""The servers under test: processes of model_server, or the addresses given on the command line."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.processes import ROOT, ServerProcess
from tests.conformance.wire import Client

# max_num_load_retries: the retries of the real server's default take five minutes.
COMMON_FLAGS: Final = (
    "--allow_version_labels_for_unavailable_models=true",
    "--max_num_load_retries=0",
    "--file_system_poll_wait_seconds=0.05",
)


@pytest.fixture(scope="session")
def made_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with everything that make_models makes. Tests add to it only under names of their own."""
    directory = tmp_path_factory.mktemp("models")
    subprocess.run(
        [sys.executable, "-m", "tests.conformance.make_models", str(directory)],
        cwd=ROOT, check=True, capture_output=True, timeout=150,
    )  # fmt: skip
    return directory


@pytest.fixture(scope="session")
def models_dir(request: pytest.FixtureRequest) -> Path:
    """The directory that the plain server has as ``/models``."""
    if request.config.getoption("--target"):
        given = request.config.getoption("--target-models")
        if not given:
            pytest.skip("needs --target-models: it adds and removes version directories")
        return Path(given)
    return Path(request.getfixturevalue("made_models"))


@pytest.fixture
def embedded_only(request: pytest.FixtureRequest) -> None:
    """For what cannot be asked of a server that somebody else started."""
    if request.config.getoption("--target"):
        pytest.skip("starts servers of its own, or is about the embedded server alone")


def _client(request: pytest.FixtureRequest, option: str, *flags: str) -> Iterator[Client]:
    target = request.config.getoption(option)
    if not target and request.config.getoption("--target"):
        pytest.skip(f"needs {option}: a server with other flags")
    server = None
    if not target:
        models = Path(request.getfixturevalue("made_models"))
        server = ServerProcess(
            f"--model_config_file={models / 'models.config'}",
            f"--base_path_map=/models={models}",
            *COMMON_FLAGS,
            *flags,
        )
        target = server.wait_ready()
    client = Client(target)
    yield client
    client.close()
    if server is not None:
        server.close()


@pytest.fixture(scope="session")
def plain(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A server without batching."""
    yield from _client(request, "--target", "--grpc_max_threads=64")


@pytest.fixture(scope="session")
def batching(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A server with batching on, as in batching.config of this directory."""
    parameters = Path(__file__).parent / "batching.config"
    yield from _client(
        request, "--target-batching", "--grpc_max_threads=64", "--enable_batching=true",
        f"--batching_parameters_file={parameters}",
    )  # fmt: skip


@pytest.fixture(scope="session")
def two_threads(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A server that handles two calls at once."""
    yield from _client(request, "--target-threads", "--grpc_max_threads=2")


@pytest.fixture(scope="session")
def in_content(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A server that answers in tensor_content."""
    yield from _client(request, "--target-content", "--enable_serialization_as_tensor_content=true")
