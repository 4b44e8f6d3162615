"""Up and down from each revision with data in it, two at once, and a migration that was left half done."""

import asyncio
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.types import TypeEngine

from accounts import migrating
from accounts.database import Database, DatabaseAway
from accounts.migrating import MigrationError, MigrationStatus
from accounts.tables import Base
from accounts.tables.base import UtcDateTime, Words
from tests.support.commands import run_accounts
from tests.support.processes import ROOT

REVISIONS = migrating.revisions()
#: A value for each column, by the Python type of what today's tables hold in it.
EXAMPLES: Mapping[type, object] = {
    uuid.UUID: uuid.UUID(int=7),
    str: "word",
    int: 1,
    bytes: b"d" * 32,
    object: {"a": 1},  # what JSON says that it holds
    date: date(2026, 1, 2),
    datetime: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
}


def fill(connection: Connection) -> dict[str, int]:
    """Put a row into every table, in the order of their foreign keys; gives the number of rows of each."""
    there = set(inspect(connection).get_table_names())
    for table in Base.metadata.sorted_tables:
        if table.name in there:
            columns = {one["name"] for one in inspect(connection).get_columns(table.name)}
            row = {one.name: example(one.type) for one in table.columns if one.name in columns}
            connection.execute(table.insert().values(row))
    return count(connection)


def example(kind: TypeEngine[Any]) -> object:
    if isinstance(kind, Words):
        return ("a", "b")
    return EXAMPLES[datetime if isinstance(kind, UtcDateTime) else kind.python_type]


def count(connection: Connection) -> dict[str, int]:
    return {
        name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
        for name in inspect(connection).get_table_names()
        if name != "alembic_version"
    }


@pytest.fixture
async def database_url(empty_database_url: str) -> str:
    """One of its own, at the newest revision; others share theirs, and these tests take it apart."""
    await migrating.upgrade(empty_database_url)
    return empty_database_url


async def on(url: str, work: Any) -> Any:
    database = Database(url)
    try:
        async with database.engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await database.close()


@pytest.mark.parametrize("revision", REVISIONS)
async def test_down_and_up_again_with_data(empty_database_url: str, revision: str) -> None:
    url, place = empty_database_url, REVISIONS.index(revision)
    before = REVISIONS[place - 1] if place else None
    await migrating.upgrade(url, revision)
    full = await on(url, fill)
    assert full
    assert set(full.values()) == {1}

    assert (await migrating.downgrade(url, before)).current == before
    kept = await on(url, count)
    assert kept == dict.fromkeys(kept, 1), "what the older tables held must stay"
    assert set(kept) < set(full)

    assert (await migrating.upgrade(url)).pending == ()
    newest = await on(url, count)
    assert {name: number for name, number in newest.items() if name in kept} == kept
    assert set(newest) >= set(full)

    assert (await migrating.downgrade(url, None)).current is None
    assert await on(url, count) == {}


async def test_the_newest_revision_has_the_tables_of_the_code(database_url: str) -> None:
    def differences(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection), Base.metadata)

    assert await on(database_url, differences) == []


async def test_status(empty_database_url: str) -> None:
    url, newest = empty_database_url, REVISIONS[-1]
    assert await migrating.status(url) == MigrationStatus(None, newest, REVISIONS)
    await migrating.upgrade(url, REVISIONS[0])
    assert await migrating.status(url) == MigrationStatus(REVISIONS[0], newest, REVISIONS[1:])
    await migrating.upgrade(url)
    assert await migrating.status(url) == MigrationStatus(newest, newest, ())


async def test_many_at_once_in_one_process(empty_database_url: str) -> None:
    ended = await asyncio.gather(*(migrating.upgrade(empty_database_url) for _ in range(6)))
    assert {status.current for status in ended} == {REVISIONS[-1]}


async def test_two_replicas_at_once(empty_database_url: str) -> None:
    ended = await asyncio.gather(
        *(
            asyncio.to_thread(run_accounts, empty_database_url, "--json", "migrate", "up", check=False)
            for _ in range(2)
        )
    )
    assert [(one.returncode, one.stderr) for one in ended] == [(0, "")] * 2
    assert (await migrating.status(empty_database_url)).pending == ()


async def test_a_revision_that_fails_leaves_the_one_before(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = command.upgrade

    def fail(config: Any, revision: str) -> None:
        done(config, revision)
        if revision == REVISIONS[1]:
            # All its tables are made by now; the transaction is not yet at its end.
            raise OSError("the machine lost its power")

    monkeypatch.setattr(command, "upgrade", fail)
    with pytest.raises(DatabaseAway, match="lost its power"):
        await migrating.upgrade(empty_database_url)
    monkeypatch.undo()

    left = await migrating.status(empty_database_url)
    assert left.current == REVISIONS[0]
    assert "usage_daily" not in await on(empty_database_url, count)
    with pytest.raises(
        MigrationError, match=r"stopped at revision 0001.*Go on with `python -m accounts migrate up`"
    ):
        migrating.require_head(left)
    assert (await migrating.upgrade(empty_database_url)).pending == ()


KILLED_IN_THE_MIDDLE = """
import asyncio, os, signal, sys
from alembic import command
from accounts import migrating

upgrade = command.upgrade

def killed(config, revision):
    upgrade(config, revision)
    if revision == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

command.upgrade = killed
asyncio.run(migrating.upgrade(sys.argv[1]))
"""


async def test_a_process_that_is_killed_in_the_middle_leaves_a_whole_revision(
    empty_database_url: str,
) -> None:
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", KILLED_IN_THE_MIDDLE, empty_database_url, REVISIONS[2]],
        cwd=ROOT,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert (await migrating.status(empty_database_url)).current == REVISIONS[1]
    assert "outbox" not in await on(empty_database_url, count)
    # The lock that it held went with it.
    assert (await migrating.upgrade(empty_database_url)).pending == ()


async def test_a_database_of_a_newer_version_is_refused(database_url: str) -> None:
    await on(database_url, lambda one: one.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    for change in (migrating.upgrade(database_url), migrating.status(database_url)):
        with pytest.raises(MigrationError, match="no revision 9999 in this version"):
            await change


async def test_the_wrong_way_is_refused(database_url: str) -> None:
    with pytest.raises(MigrationError, match="`python -m accounts migrate down`"):
        await migrating.upgrade(database_url, REVISIONS[0])
    with pytest.raises(MigrationError, match="no revision nonsense"):
        await migrating.upgrade(database_url, "nonsense")
    await migrating.downgrade(database_url, None)
    with pytest.raises(MigrationError, match="`python -m accounts migrate up`"):
        await migrating.downgrade(database_url, REVISIONS[0])


async def test_rows_that_would_lose_what_they_refer_to_stop_a_step(sqlite_url: str) -> None:
    await migrating.upgrade(sqlite_url)

    database = Database(sqlite_url, migrating=True)
    async with database.exclusive() as connection:
        await connection.execute(
            text(
                "INSERT INTO tokens (id, account_id, name, digest, hint, scopes, created_at) "
                "VALUES ('a', 'nobody', 'x', 'd', 'h', 's', '2026-01-01')"
            )
        )
    await database.close()
    with pytest.raises(MigrationError, match=r"1 rows .* the first in tokens. It was not done"):
        await migrating.downgrade(sqlite_url, REVISIONS[0])
    assert (await migrating.status(sqlite_url)).current == REVISIONS[-1]


async def test_a_folder_that_is_missing_is_made_for_this_user_only(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    await migrating.upgrade(f"sqlite:///{folder / 'accounts.sqlite3'}")
    assert folder.stat().st_mode & 0o777 == 0o700
