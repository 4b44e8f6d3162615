"""Throwaway PostgreSQLs and Redises, of the system's binaries, in temporary folders and on unix sockets there."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import asyncpg
import redis
from sqlalchemy import make_url

START_SECONDS = 60
_POSTGRES_FOLDERS = "/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin"


def binary(name: str, *folders: str) -> str | None:
    """The program, on the path or, as Debian keeps PostgreSQL's, in a folder of its version; the newest."""
    found = [path for folder in folders for path in Path("/").glob(folder.removeprefix("/") + f"/{name}")]
    newest = sorted(found, key=lambda path: [int(part) for part in path.parts if part.isdecimal()])
    return str(newest[-1]) if newest else shutil.which(name)


def postgres_binaries() -> tuple[str, str] | None:
    """PostgreSQL's `initdb` and `postgres`; None where they are not on this machine."""
    initdb, postgres = (binary(name, *_POSTGRES_FOLDERS) for name in ("initdb", "postgres"))
    return (initdb, postgres) if initdb and postgres else None


def _unprivileged(folder: Path) -> list[str]:
    """What precedes a command so that root does not run it, which PostgreSQL refuses; gives the folder away."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "nobody")
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ["runuser", "-u", "nobody", "--"]
    who = pwd.getpwnam("nobody")
    return [setpriv, f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--"]


@contextmanager
def _served(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            # PostgreSQL would wait for its clients at SIGTERM.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(answers: Callable[[], object], process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            answers()
        except (OSError, asyncpg.CannotConnectNowError, redis.ConnectionError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                log = (folder / "server.log").read_text("utf-8", "replace")
                raise RuntimeError(f"the server does not answer: {log}") from error
            time.sleep(0.02)
        else:
            return


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    # Not pytest's own: only its user may go in there, and the path of a socket has 107 characters at most.
    with tempfile.TemporaryDirectory(prefix=f"sportvision-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


class OwnPostgres:
    """A PostgreSQL of its own, which a test may stop and start.

    Attributes:
        url: URL of its first database.
    """

    def __init__(self, folder: Path, initdb: str, postgres: str) -> None:
        self.url = f"postgresql://tests@/postgres?host={folder}"
        self._folder = folder
        who = _unprivileged(folder)
        data = folder / "data"
        made = subprocess.run(
            [
                *who,
                initdb,
                "-D",
                str(data),
                "-U",
                "tests",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        # It is thrown away, so nothing needs to reach the disk.
        lax = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"]
        settings = [f"unix_socket_directories={folder}", "listen_addresses=", "shared_buffers=32MB", *lax]
        self._command = [*who, postgres, "-D", str(data), *(part for one in settings for part in ("-c", one))]
        self._serving = ExitStack()

    def start(self) -> None:
        """Serve, and wait until it answers."""
        process = self._serving.enter_context(_served(self._command, self._folder))
        _wait_for(lambda: run_on_in_thread(self.url, "SELECT 1"), process, self._folder)

    def stop(self) -> None:
        """Cut every connection, and be gone."""
        self._serving.close()


@contextmanager
def running_postgres(initdb: str, postgres: str) -> Iterator[OwnPostgres]:
    """A PostgreSQL of its own, until the block ends."""
    with _folder("postgres") as folder:
        server = OwnPostgres(folder, initdb, postgres)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def running_redis(redis_server: str) -> Iterator[str]:
    """A Redis of its own; gives its URL."""
    with _folder("redis") as folder:
        path = folder / "redis.sock"
        command = [redis_server, "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
        with _served(command, folder) as process:
            url = f"unix://{path}?db=0"
            with closing(redis.Redis.from_url(url)) as client:
                _wait_for(client.ping, process, folder)
            yield url


async def run_on(server: str, *statements: str) -> None:
    """Run statements on a PostgreSQL, each by itself."""
    connection = await asyncpg.connect(make_url(server).set(drivername="postgresql").render_as_string(False))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def run_on_in_thread(server: str, *statements: str) -> None:
    """The same for callers that are not asynchronous."""
    # A test that starts a server may have an event loop of its own in this thread.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, run_on(server, *statements)).result()
