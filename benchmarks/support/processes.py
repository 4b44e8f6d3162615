"""Processes under measurement: what they take of the machine, told by the operating system."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
_PATIENCE = 180.0
# What is measured runs on this machine: no proxy of the environment comes between.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NotReadyError(RuntimeError):
    """A process ended before it was ready, or took too long; the message holds the end of its log."""


def cpu_clock(pid: int) -> int:
    """The clock of a process's CPU time, threads that have ended included: nanoseconds, not the usual 10 ms.

    How the kernel makes this number of a process's: linux/include/linux/posix-timers.h, MAKE_PROCESS_CPUCLOCK.
    """
    return (~pid << 3) | 2


@dataclass(frozen=True, slots=True)
class Measured:
    """A running process with all its children.

    Attributes:
        pid: The first process.
        log: Where its output goes.
        started: When it was started, by `time.perf_counter`.
    """

    pid: int
    log: Path
    started: float

    def pids(self) -> list[int]:
        """It, and all its children now."""
        first = psutil.Process(self.pid)
        return [self.pid, *(child.pid for child in first.children(recursive=True))]

    def cpu_seconds(self) -> float:
        """CPU time of all these processes, user and system."""
        return sum(time.clock_gettime(cpu_clock(pid)) for pid in self.pids())

    def memory(self) -> tuple[float, float]:
        """Their memory in megabytes: the sum of PSS (shared pages counted once), and the sum of RSS."""
        infos = [psutil.Process(pid).memory_full_info() for pid in self.pids()]
        return sum(info.pss for info in infos) / 1e6, sum(info.rss for info in infos) / 1e6

    def private_memory(self) -> float:
        """The memory that is theirs alone, in megabytes (USS): PSS moves with whatever else maps the same files."""
        return sum(psutil.Process(pid).memory_full_info().uss for pid in self.pids()) / 1e6


@contextmanager
def running(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Measured]:
    """Run a command from the checkout until the block ends; then SIGTERM, and SIGKILL where that does not help."""
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield Measured(process.pid, log, started)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until(ready: Callable[[], bool], process: Measured, *, pause: float = 0.01) -> float:
    """Poll until `ready`.

    Returns:
        Seconds since the process was started.

    Raises:
        NotReadyError: It ended, or three minutes passed.
    """
    while not ready():
        seconds = time.perf_counter() - process.started
        status = psutil.Process(process.pid).status() if psutil.pid_exists(process.pid) else "gone"
        if seconds > _PATIENCE or status in ("gone", psutil.STATUS_ZOMBIE):
            raise NotReadyError(f"Not ready after {seconds:.0f} s:\n{process.log.read_text()[-2000:]}")
        time.sleep(pause)
    return time.perf_counter() - process.started


def fetched(url: str) -> bytes:
    """The body of a GET's answer.

    Raises:
        OSError: Nobody answered, or with an error.
    """
    with _DIRECT.open(url, timeout=10) as reply:
        content: bytes = reply.read()
    return content


def answers(url: str) -> bool:
    """Whether a GET of the address succeeds."""
    try:
        fetched(url)
    except OSError:
        return False
    return True
