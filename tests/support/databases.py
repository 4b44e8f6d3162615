"""PostgreSQL and Redis for tests: those that the environment names, else throwaway ones of the system's binaries.

    SPORTVISION_TEST_POSTGRES_URL=postgresql://user:password@host/database   a role that may create databases
    SPORTVISION_TEST_REDIS_URL=redis://host:6379/0                           a database that may be emptied

Without them the first test that needs one starts one, in a temporary folder and on a unix socket there, and the end
of the session stops it. Where there are no binaries the tests are skipped and named at the end; with
SPORTVISION_TEST_REQUIRE_SERVERS=1, as in CI, they fail.

A test that takes `database_url` or `database` runs twice, on SQLite and on PostgreSQL.
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NoReturn

import asyncpg
import pytest
import redis
from sqlalchemy import make_url

from accounts import migrating
from accounts.database import Database
from accounts.tables import Base

POSTGRES_URL = "SPORTVISION_TEST_POSTGRES_URL"
REDIS_URL = "SPORTVISION_TEST_REDIS_URL"
REQUIRE = "SPORTVISION_TEST_REQUIRE_SERVERS"
START_SECONDS = 60
_POSTGRES_FOLDERS = "/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin"

_LEFT_OUT = pytest.StashKey[dict[str, list[str]]]()


def _binary(name: str, *folders: str) -> str | None:
    """The program, on the path or, as Debian keeps PostgreSQL's, in a folder of its version; the newest."""
    found = [path for folder in folders for path in Path("/").glob(folder.removeprefix("/") + f"/{name}")]
    newest = sorted(found, key=lambda path: [int(part) for part in path.parts if part.isdecimal()])
    return str(newest[-1]) if newest else shutil.which(name)


def postgres_binaries() -> tuple[str, str] | None:
    """PostgreSQL's `initdb` and `postgres`; None where they are not on this machine."""
    initdb, postgres = (_binary(name, *_POSTGRES_FOLDERS) for name in ("initdb", "postgres"))
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
        _wait_for(lambda: _run_on_in_thread(self.url, "SELECT 1"), process, self._folder)

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


def _leave_out(request: pytest.FixtureRequest, what: str, how: str) -> NoReturn:
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{what} is not there, and {REQUIRE}=1 says that no test may be left out. {how}")
    left_out = request.config.stash.setdefault(_LEFT_OUT, {})
    left_out.setdefault(f"{what} is not there. {how}", []).append(request.node.nodeid)
    pytest.skip(f"{what} is not there. {how}")


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str | None]:
    given = os.environ.get(POSTGRES_URL)
    binaries = postgres_binaries()
    if given:
        yield given
    elif binaries is not None:
        with running_postgres(*binaries) as server:
            yield server.url
    else:
        yield None


@contextmanager
def own_postgres(request: pytest.FixtureRequest) -> Iterator[OwnPostgres]:
    """A PostgreSQL for one test that stops it; the test is left out where there are no binaries."""
    binaries = postgres_binaries()
    if binaries is None:
        _leave_out(request, "A PostgreSQL that may be stopped", "Install one (apt-get install postgresql).")
    with running_postgres(*binaries) as server:
        yield server


@pytest.fixture(scope="session")
def _redis() -> Iterator[str | None]:
    given, redis_server = os.environ.get(REDIS_URL), _binary("redis-server")
    if given:
        yield given
    elif redis_server:
        with running_redis(redis_server) as url:
            yield url
    else:
        yield None


@pytest.fixture
def postgres_server(request: pytest.FixtureRequest, _postgres: str | None) -> str:
    """URL of a database on a PostgreSQL where others can be made."""
    if _postgres is None:
        how = f"Install it (apt-get install postgresql), or name one by {POSTGRES_URL}."
        _leave_out(request, "PostgreSQL", how)
    return _postgres


@pytest.fixture
def redis_url(request: pytest.FixtureRequest, _redis: str | None) -> Iterator[str]:
    """URL of a Redis with nothing in it."""
    if _redis is None:
        how = f"Install it (apt-get install redis-server), or name one by {REDIS_URL}."
        _leave_out(request, "Redis", how)
    with closing(redis.Redis.from_url(_redis)) as client:
        client.flushdb()
        yield _redis


async def _run_on(server: str, *statements: str) -> None:
    connection = await asyncpg.connect(make_url(server).set(drivername="postgresql").render_as_string(False))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _run_on_in_thread(server: str, *statements: str) -> None:
    # A test that starts a server may have an event loop of its own in this thread.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, _run_on(server, *statements)).result()


@contextmanager
def new_postgres_database(server: str, template: str = "template1") -> Iterator[str]:
    """A database of its own, dropped at the end whoever is still connected; gives its URL."""
    name = f"test_{uuid.uuid4().hex}"
    asyncio.run(_run_on(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        asyncio.run(_run_on(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite database that is not there yet."""
    return f"sqlite:///{tmp_path / 'accounts.sqlite3'}"


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of an empty database on PostgreSQL."""
    with new_postgres_database(postgres_server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """URL of a database without any table; once SQLite, once PostgreSQL."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("database") / "accounts.sqlite3"
    asyncio.run(migrating.upgrade(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def _migrated_postgres(_postgres: str | None) -> Iterator[str | None]:
    if _postgres is None:
        yield None
        return
    with new_postgres_database(_postgres) as url:
        asyncio.run(migrating.upgrade(url))
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a database with all tables and no rows; once SQLite, once PostgreSQL."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        shutil.copy(request.getfixturevalue("_migrated_sqlite"), make_url(url).database or "")
        return url
    # Says what is missing, where it is.
    request.getfixturevalue("postgres_server")
    url = request.getfixturevalue("_migrated_postgres")
    # Made once and emptied, which takes a tenth of the time. What an earlier test left open would stand in the way.
    tables = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
    asyncio.run(
        _run_on(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            f"TRUNCATE {tables} RESTART IDENTITY CASCADE",
        )
    )
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database with all tables and no rows; once SQLite, once PostgreSQL."""
    # Patient: the tests of others may be running beside these.
    opened = Database(database_url, timeout=30)
    yield opened
    await opened.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for reason, tests in config.stash.get(_LEFT_OUT, {}).items():
        terminalreporter.section(f"{len(tests)} tests were left out")
        terminalreporter.line(
            f"{reason} Then run `make test` again, or: .venv/bin/python -m pytest tests/accounts"
        )
        for test in tests:
            terminalreporter.line(f"  {test}")
