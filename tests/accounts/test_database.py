"""Sessions on both databases, and what happens where there is none."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from accounts.database import Database, DatabaseAway
from accounts.tables import Account, AuditEntry, Token


async def make_account(database: Database, name: str = "somebody") -> Account:
    async with database.write() as session:
        account = Account(name=name)
        session.add(account)
    return account


async def test_what_is_written_is_read_as_it_was(database: Database) -> None:
    moment = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=2)))
    account = await make_account(database)
    async with database.write() as session:
        session.add(
            Token(
                account_id=account.id,
                name="café ☕",
                digest=bytes(range(32)),
                hint="wxyz",
                scopes=("usage", "sport", "usage"),
                expires_at=moment,
            )
        )
        session.add(AuditEntry(actor_kind="service", actor="test", action="test", details={"a": [1, None]}))
    async with database.read() as session:
        token = (await session.scalars(select(Token))).one()
        entry = (await session.scalars(select(AuditEntry))).one()
    assert token.expires_at == moment
    assert token.expires_at is not None
    assert token.expires_at.tzinfo is UTC
    assert token.scopes == ("sport", "usage")
    assert (token.name, token.digest, token.revoked_at) == ("café ☕", bytes(range(32)), None)
    assert entry.details == {"a": [1, None]}
    assert entry.id == 1


async def test_a_moment_without_a_time_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="must know its time zone"):
        async with database.write() as session:
            session.add(Account(created_at=datetime(2026, 1, 1)))  # noqa: DTZ001


async def test_a_block_that_fails_writes_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as session:
            session.add(Account(name="half"))
            await session.flush()
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    async with database.read() as session:
        assert (await session.scalars(select(Account))).all() == []


async def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.write() as session:
            session.add(Token(account_id=uuid.uuid4(), name="x", digest=b"d" * 32, hint="", scopes=()))


async def test_many_writers_wait_for_each_other(database: Database) -> None:
    await asyncio.gather(*(make_account(database, str(number)) for number in range(40)))
    async with database.read() as session:
        assert len((await session.scalars(select(Account))).all()) == 40


async def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    async with database.write() as writing:
        writing.add(Account(name="unfinished"))
        await writing.flush()
        async with asyncio.timeout(2), database.read() as reading:
            assert (await reading.scalars(select(Account))).all() == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://somebody:secret-word@127.0.0.1:1/nothing",
        "postgresql:///nothing?host=/nowhere",
        "postgresql://somebody:secret-word@127.0.0.1:1/nothing?sslmode=verify-full",
        "postgresql://somebody:secret-word@127.0.0.1:1/nothing?sslmode=nonsense",
        "sqlite:////proc/nothing/accounts.sqlite3",
    ],
)
async def test_a_database_that_is_away(url: str) -> None:
    database = Database(url, timeout=1)
    with pytest.raises(DatabaseAway, match="does not answer") as raised:
        async with database.read() as session:
            await session.execute(select(Account))
    assert "secret-word" not in str(raised.value)
    await database.close()


async def test_a_lock_that_is_held_for_too_long(sqlite_url: str) -> None:
    first, second = Database(sqlite_url, timeout=0.1), Database(sqlite_url, timeout=0.1)
    async with first.write():
        with pytest.raises(DatabaseAway, match="locked"):
            async with second.write():
                pass
    await first.close()
    await second.close()


async def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    async def look(database: Database) -> object:
        async with database.read() as session:
            return (await session.execute(text("PRAGMA journal_mode"))).scalar_one()

    for attempt in range(5):
        databases = [Database(f"sqlite:///{tmp_path}/{attempt}.sqlite3") for _ in range(8)]
        assert await asyncio.gather(*map(look, databases)) == ["wal"] * len(databases)
        await asyncio.gather(*(database.close() for database in databases))


def test_nothing_is_left_of_a_connection_that_was_given_up(sqlite_url: str) -> None:
    # Wherever the cancellation comes: before the thread has opened the file, while it does, and after.
    async def give_up(turns: int) -> None:
        database = Database(sqlite_url)

        async def use() -> None:
            async with database.read():
                await asyncio.get_running_loop().create_future()

        task = asyncio.create_task(use())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await database.close()

    before = set(threading.enumerate())
    for turns in range(60):
        asyncio.run(give_up(turns))
    for thread in set(threading.enumerate()) - before:
        # It may be on its last line. One that were left would wait for ever.
        thread.join(timeout=10)
        assert not thread.is_alive()


def with_query(url: str, pair: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{pair}"


@pytest.mark.parametrize("pair", ["sslmode=disable", "application_name=mine"])
async def test_a_url_may_say_what_libpq_understands(postgres_url: str, pair: str) -> None:
    database = Database(with_query(postgres_url, pair))
    async with database.read() as session:
        assert await session.scalar(select(1)) == 1
    await database.close()


@pytest.mark.parametrize("words", ["nonsense", "no_such_"])
async def test_a_url_that_the_server_does_not_take(postgres_url: str, words: str) -> None:
    changed = with_query(postgres_url, "nonsense=1")
    if words == "no_such_":
        changed = postgres_url.replace("/test_", "/no_such_")
    database = Database(changed)
    with pytest.raises(DatabaseAway, match=words):
        async with database.read():
            pass
    await database.close()


@pytest.fixture
async def refusing() -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """Give the URL of a PostgreSQL that greets everybody with an error of this SQLSTATE."""
    async with AsyncExitStack() as stack:

        async def open_one(state: str) -> str:
            async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                # A request to begin TLS, and then the start; each begins with its length.
                for answer in (b"N", error_response(state)):
                    length = int.from_bytes(await reader.readexactly(4), "big")
                    await reader.readexactly(length - 4)
                    writer.write(answer)
                writer.close()

            server = await stack.enter_async_context(await asyncio.start_server(greet, "127.0.0.1", 0))
            return f"postgresql://u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}/d?sslmode=prefer"

        yield open_one


def error_response(state: str) -> bytes:
    fields = b"SFATAL\0VFATAL\0" + f"C{state}".encode() + b"\0Mnot today\0\0"
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


@pytest.mark.parametrize("state", ["42501", "XX000", "08P01", "0A000"])
async def test_a_server_or_pooler_that_lets_nobody_in_is_away(
    refusing: Callable[[str], Awaitable[str]], state: str
) -> None:
    database = Database(await refusing(state), timeout=10)
    with pytest.raises(DatabaseAway, match="not today"):
        async with database.read():
            pass
    await database.close()


@pytest.mark.parametrize("state", ["40P01", "40001"])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_who_is_sent_away_for_the_sake_of_others_may_try_again(database: Database, state: str) -> None:
    raising = text(f"DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '{state}'; END $$")
    with pytest.raises(DatabaseAway, match="not now"):
        async with database.write() as session:
            await session.execute(raising)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_statement_that_is_wrong_is_no_database_that_is_away(database: Database) -> None:
    for statement in ("SELECT nothing_like_that", "DROP TYPE nothing_like_that"):
        with pytest.raises(DBAPIError):
            async with database.write() as session:
                await session.execute(text(statement))
