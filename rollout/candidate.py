"""A model server of its own for a version that nobody serves yet: on loopback, on a free port, for the check."""

import asyncio
import re
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from rollout.errors import RolloutError
from rollout.publishing import check_is_version

_ROOT: Final = Path(__file__).resolve().parents[1]
_READY: Final = re.compile(rb"Running gRPC ModelServer at (\S+:\d+)")
_STOP_SECONDS: Final = 10.0
# Of a server that could not start: enough for a traceback.
_KEPT_LINES: Final = 40


@asynccontextmanager
async def served_alone(version: Path, model: str, *, seconds: float) -> AsyncIterator[str]:
    """Serve one version's folder with the embedded model server, and stop it when the block ends.

    Args:
        version: The folder; it is served where it is, not copied.
        model: The name to serve it under.
        seconds: How long loading may take.

    Yields:
        The server's host:port.

    Raises:
        RolloutError: The folder is no SavedModel, or the server cannot load it; the message has its reason.
    """
    check_is_version(version)
    if not (_ROOT / "model_server").is_dir():
        raise RolloutError(
            "The embedded model server is not here; a gateway's image has none. Check from a checkout, or have a "
            "model server load the version and name it: --candidate HOST:PORT."
        )
    with _base_path(version) as base:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "model_server", "--port=0", f"--model_name={model}"),
            *(f"--model_base_path={base}", "--max_num_load_retries=0", "--file_system_poll_wait_seconds=0"),
            cwd=_ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            address = await _address(process, version, seconds)
            # Its pipe must be emptied, or it would stand still once that is full.
            emptying = asyncio.create_task(_empty(process))
            try:
                yield address
            finally:
                emptying.cancel()
        finally:
            await _stop(process)


@contextmanager
def _base_path(version: Path) -> Iterator[Path]:
    """A folder with a link to the version: servers find versions by number, and an export may have any name."""
    target = version.resolve()
    with tempfile.TemporaryDirectory(prefix="rollout-") as folder:
        base = Path(folder)
        (base / (target.name if target.name.isdecimal() else "1")).symlink_to(
            target, target_is_directory=True
        )
        yield base


async def _address(process: Process, version: Path, seconds: float) -> str:
    assert process.stderr is not None  # noqa: S101 (it was asked for above)
    lines: list[str] = []
    try:
        # Of reading a pipe, which asyncio.timeout may well interrupt; only calls of gRPC must not be.
        async with asyncio.timeout(seconds):
            async for line in process.stderr:
                found = _READY.search(line)
                if found:
                    return found[1].decode()
                lines = [*lines, line.decode(errors="replace").rstrip()][-_KEPT_LINES:]
    except TimeoutError:
        raise RolloutError(f"{version} was not loaded within {seconds:g} s (--load-seconds).") from None
    told = (
        [line for line in lines if "Failed to start server" in line or "Error" in line]
        or lines
        or ["it says nothing"]
    )
    raise RolloutError(f"The embedded model server cannot serve {version}: {told[-1]}")


async def _empty(process: Process) -> None:
    assert process.stderr is not None  # noqa: S101
    while await process.stderr.read(65536):
        pass


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
