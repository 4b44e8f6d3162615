"""The services under measurement, each started as it would be in production: ours, the old design, and the floor."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.processes import Measured, answers, running, wait_until
from tests.support.processes import free_port, listens

TOKEN = "a-token-for-the-benchmarks"
PREDICT = "/sportclassifier/predict/"


@dataclass(frozen=True, slots=True)
class Service:
    """A running service.

    Attributes:
        name: How tables call it.
        port: Where it answers HTTP.
        process: Its processes.
        ready_seconds: From its start to its first answer.
    """

    name: str
    port: int
    process: Measured
    ready_seconds: float


@contextmanager
def instant_backend(folder: Path, side: int) -> Iterator[str]:
    """A model server that answers at once; yields its address."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "benchmarks.backends.instant"),
        *("--port", str(port), "--side", str(side)),
    ]
    with running(command, log=folder / "instant.log") as process:
        wait_until(lambda: listens(port), process)
        yield f"127.0.0.1:{port}"


@contextmanager
def real_backend_process(
    folder: Path, base_paths: dict[str, Path], *, batching: Path | None = None
) -> Iterator[tuple[str, Measured]]:
    """The embedded model server with these models; yields its address once all are loaded, and its process."""
    port = free_port()
    config = folder / "models.config"
    config.write_text(
        "model_config_list {\n"
        + "".join(
            f'  config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }}\n'
            for name, path in base_paths.items()
        )
        + "}\n"
    )
    command = [
        *(sys.executable, "-m", "model_server"),
        f"--port={port}",
        f"--model_config_file={config}",
        "--grpc_max_threads=64",
    ]
    if batching is not None:
        command += ["--enable_batching", f"--batching_parameters_file={batching}"]
    with running(command, log=folder / "model_server.log") as process:
        wait_until(lambda: listens(port), process, pause=0.1)
        yield f"127.0.0.1:{port}", process


@contextmanager
def real_backend(folder: Path, base_paths: dict[str, Path], *, batching: Path | None = None) -> Iterator[str]:
    """The same, where the process does not matter."""
    with real_backend_process(folder, base_paths, batching=batching) as (target, _):
        yield target


@contextmanager
def ours(
    folder: Path, model_server: str, *, workers: int = 1, name: str = "ours", **settings: str
) -> Iterator[Service]:
    """The gateway, with its defaults but for what `settings` change (by their names without the prefix)."""
    port = free_port()
    environment = {
        "SPORTVISION_TOKENS": TOKEN,
        "SPORTVISION_PORT": str(port),
        "SPORTVISION_MODEL_SERVER": model_server,
        "SPORTVISION_WORKERS": str(workers),
        **{f"SPORTVISION_{key.upper()}": value for key, value in settings.items()},
    }
    with running(
        [sys.executable, "-m", "app"], log=folder / f"{name}.log", environment=environment
    ) as process:
        ready = wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), process)
        yield Service(name, port, process, ready)


@contextmanager
def old_design(
    folder: Path, model_server: str, *, side: int, workers: int = 1, model: str = "sport_classifier"
) -> Iterator[Service]:
    """Flask under gunicorn's synchronous workers, with gunicorn's defaults."""
    port = free_port()
    environment = {
        "MODEL_SERVER": model_server,
        "MODEL": model,
        "SIDE": str(side),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    command = [
        *(sys.executable, "-m", "gunicorn", "--workers", str(workers), "--bind", f"127.0.0.1:{port}"),
        "benchmarks.old_design.server:app",
    ]
    with running(command, log=folder / f"old-{model}.log", environment=environment) as process:
        ready = wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), process)
        yield Service("old design", port, process, ready)


@contextmanager
def floor(folder: Path, model_server: str, *, side: int) -> Iterator[Service]:
    """The bare cost of each part (benchmarks/floor.py)."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "benchmarks.floor", "--port", str(port)),
        *("--model-server", model_server, "--side", str(side)),
    ]
    with running(command, log=folder / "floor.log") as process:
        ready = wait_until(lambda: listens(port), process)
        yield Service("floor", port, process, ready)
