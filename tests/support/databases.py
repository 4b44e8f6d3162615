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
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import redis
from sqlalchemy import make_url

from accounts import migrating
from accounts.database import Database
from accounts.tables import Base
from tests.support.servers import (
    OwnPostgres,
    binary,
    postgres_binaries,
    run_on,
    running_postgres,
    running_redis,
)

POSTGRES_URL = "SPORTVISION_TEST_POSTGRES_URL"
REDIS_URL = "SPORTVISION_TEST_REDIS_URL"
REQUIRE = "SPORTVISION_TEST_REQUIRE_SERVERS"

_LEFT_OUT = pytest.StashKey[dict[str, list[str]]]()


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
    given, redis_server = os.environ.get(REDIS_URL), binary("redis-server")
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


@contextmanager
def new_postgres_database(server: str, template: str = "template1") -> Iterator[str]:
    """A database of its own, dropped at the end whoever is still connected; gives its URL."""
    name = f"test_{uuid.uuid4().hex}"
    asyncio.run(run_on(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        asyncio.run(run_on(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


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
        run_on(
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
