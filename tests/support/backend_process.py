"""The fake model server as a process: `python -m tests.support.backend_process --port N`.

For tests and measurements that kill, stop or overload it. With `--seconds` and `--places` it has a capacity that is
known: it answers `places / seconds` pictures a second and no more. Beyond `--queue` that wait for a place it refuses
with the words of TensorFlow Serving's full batching queue.
"""

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import grpc

from tests.support.fake_backend import FakeBackend, Method
from tests.support.fake_models import Received, Refused
from tests.support.gateway import MODEL
from tests.support.processes import free_port, listens, running_module, wait_until

FULL = (
    "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and "
    "max_enqueued_batches is 2"
)


class _Forgetful(list[Received]):
    """Keeps no pictures: a process under load for minutes would hold them all."""

    def append(self, received: Received, /) -> None:
        """Forget it."""


class BoundedBackend(FakeBackend):
    """Answers so many pictures at a time, each after so many seconds, and lets so many wait."""

    def __init__(self, *, port: int, seconds: float, places: int, queue: int) -> None:
        super().__init__(port=port, received=_Forgetful())
        self._seconds = seconds
        self._places = asyncio.Semaphore(places)
        self._room = places + queue

    async def before_answer(self, method: Method) -> None:
        """Wait for a place, and keep it for the time that a picture takes."""
        self.call_metadata[method].clear()
        if method is not Method.PREDICT or self._seconds == 0:
            return
        if self._room == 0:
            raise Refused(grpc.StatusCode.UNAVAILABLE, FULL)
        self._room -= 1
        try:
            async with self._places:
                await asyncio.sleep(self._seconds)
        finally:
            self._room += 1


@dataclass(frozen=True)
class BackendProcess:
    """A running one."""

    port: int
    process: Popen[bytes]

    @property
    def target(self) -> str:
        """Where it listens: host:port."""
        return f"127.0.0.1:{self.port}"


@contextmanager
def running_backend(folder: Path, *flags: str, port: int | None = None) -> Iterator[BackendProcess]:
    """Run one, and wait until it listens; its output goes to a file of the folder."""
    port = port or free_port()
    log = folder / f"backend-{port}.log"
    with running_module("tests.support.backend_process", f"--port={port}", *flags, log=log) as process:
        wait_until("backend", lambda: listens(port), process, log)
        yield BackendProcess(port, process)


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until a signal ends the process, calls in flight or not, as with TensorFlow Serving."""
    backend = BoundedBackend(
        port=arguments.port, seconds=arguments.seconds, places=arguments.places, queue=arguments.queue
    )
    backend.add_version(MODEL, arguments.version, height=arguments.side, width=arguments.side)
    async with backend:
        await asyncio.Event().wait()


def main() -> None:
    """Read the flags and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", type=int, default=1)
    parser.add_argument("--side", type=int, default=32, help="rows and columns of the model's input")
    parser.add_argument("--seconds", type=float, default=0.0, help="what a picture takes")
    parser.add_argument("--places", type=int, default=1, help="pictures at a time")
    parser.add_argument("--queue", type=int, default=10**9, help="pictures that may wait")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
