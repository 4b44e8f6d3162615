"""Starting, watching and stopping a real model_server process."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_READY: Final = re.compile(r"Running gRPC ModelServer at (\S+:\d+)")


def eventually(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Polls until a condition holds; fails after a deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


class ServerProcess:
    """A model_server in a process of its own, on a free port.

    Args:
        arguments: Its flags; a free port is taken unless they name one.
    """

    def __init__(self, *arguments: str) -> None:
        # Open as long as the process runs; close() ends both.
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "model_server", "--port=0", *arguments], cwd=ROOT, stderr=self._log
        )

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    @property
    def address(self) -> str | None:
        """Where it listens; None until it does."""
        found = _READY.search(self.log)
        return found[1] if found else None

    def wait_ready(self, seconds: float = 150.0) -> str:
        eventually(
            lambda: self.address is not None or self.process.poll() is not None, "server ready", seconds
        )
        assert self.address is not None, self.log
        return self.address

    def wait_exit(self, seconds: float = 150.0) -> int:
        return self.process.wait(seconds)

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()
