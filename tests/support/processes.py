"""Our programs as processes of their own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_module(
    module: str, *arguments: str, log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m module` from the checkout; its output goes to `log`. Stopped by SIGTERM at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            # Most tests have nobody to tell that a gateway goes.
            env={**os.environ, "SPORTVISION_DRAIN_SECONDS": "0", **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def wait_until(what: str, reached: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll until `reached`; fails with the process's log after two minutes, or when it ends before that."""
    deadline = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, f"ended with {process.returncode}: {log.read_text('utf-8', 'replace')}"
        assert time.monotonic() < deadline, f"no {what}: {log.read_text('utf-8', 'replace')}"
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether somebody answers on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
