import asyncio
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.database import Database, DatabaseAway
from accounts.tables import Token
from accounts.tokens import last_used as module
from accounts.tokens.last_used import LastUsed
from tests.accounts.people import new_account, new_token

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def moments(database: Database) -> dict[uuid.UUID, datetime | None]:
    async with database.read() as session:
        rows = await session.execute(select(Token.id, Token.last_used_at))
        return {row[0]: row[1] for row in rows}


async def test_a_batch_has_the_last_use_of_each(database: Database) -> None:
    account_id = await new_account(database)
    first, second, third = [(await new_token(database, account_id)).row.id for _ in range(3)]
    uses = LastUsed(database, every_seconds=60)
    for minute in range(5):
        uses.note(first, (NOON + timedelta(minutes=minute)).timestamp())
    uses.note(second, NOON.timestamp())
    await uses.write()
    assert await moments(database) == {first: NOON + timedelta(minutes=4), second: NOON, third: None}


async def test_an_earlier_use_does_not_undo_a_later_one(database: Database) -> None:
    token = (await new_token(database)).row.id
    here, there = LastUsed(database, every_seconds=60), LastUsed(database, every_seconds=60)
    here.note(token, NOON.timestamp())
    there.note(token, (NOON - timedelta(hours=1)).timestamp())
    await here.write()
    await there.write()
    assert await moments(database) == {token: NOON}


async def test_replicas_that_write_the_same_tokens_do_not_wait_for_each_other_in_a_circle(
    database: Database,
) -> None:
    account_id = await new_account(database)
    tokens = [(await new_token(database, account_id)).row.id for _ in range(20)]
    replicas = [LastUsed(database, every_seconds=60) for _ in range(4)]
    for number, replica in enumerate(replicas):
        for token in tokens if number % 2 else reversed(tokens):
            replica.note(token, NOON.timestamp() + number)
    async with asyncio.timeout(20):
        await asyncio.gather(*(replica.write() for replica in replicas))
    assert set((await moments(database)).values()) == {NOON + timedelta(seconds=3)}


async def test_nothing_is_lost_while_the_database_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = [(await new_token(database)).row.id for _ in range(2)]
    uses = LastUsed(database, every_seconds=60)
    uses.note(first, NOON.timestamp())
    uses.note(second, NOON.timestamp())

    async def away(*_: object) -> None:
        # Somebody comes while the writing fails.
        uses.note(first, NOON.timestamp() + 1)
        raise DatabaseAway("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", away)
        await uses.write()
    assert "it is kept" in caplog.text
    await uses.write()
    assert await moments(database) == {first: NOON + timedelta(seconds=1), second: NOON}


async def test_what_is_kept_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_NOTED", 2)
    uses = LastUsed(database, every_seconds=60)
    for _ in range(5):
        uses.note(uuid.uuid4(), 0.0)
    assert len(uses._noted) == 2


async def test_a_token_that_is_gone_does_not_stop_the_others(database: Database) -> None:
    token = (await new_token(database)).row.id
    uses = LastUsed(database, every_seconds=60)
    uses.note(uuid.uuid4(), NOON.timestamp())
    uses.note(token, NOON.timestamp())
    await uses.write()
    assert await moments(database) == {token: NOON}


async def test_no_failure_ends_the_writing_and_each_kind_is_logged_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = (await new_token(database)).row.id
    uses = LastUsed(database, every_seconds=0.001)
    uses.note(token, NOON.timestamp())
    failures: list[Exception] = [
        DatabaseAway("gone"),
        RuntimeError("odd"),
        DatabaseAway("gone"),
        RuntimeError("odd"),
    ]
    write = module._write

    async def fail(session: AsyncSession, noted: Mapping[uuid.UUID, float]) -> None:
        if failures:
            raise failures.pop(0)
        await write(session, noted)

    monkeypatch.setattr(module, "_write", fail)
    writing = asyncio.create_task(uses.write_forever())
    async with asyncio.timeout(20):
        while await moments(database) != {token: NOON}:
            await asyncio.sleep(0.005)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert [(record.levelname, "it is kept" in record.message) for record in caplog.records] == [
        ("WARNING", True),
        ("ERROR", True),
    ]


async def test_a_write_that_is_cancelled_loses_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    tokens = sorted([(await new_token(database)).row.id for _ in range(3)])
    uses = LastUsed(database, every_seconds=60)
    for token in tokens:
        uses.note(token, NOON.timestamp())
    write, second = module._write, asyncio.Event()

    async def slow(session: AsyncSession, noted: Mapping[uuid.UUID, float]) -> None:
        await write(session, noted)
        if tokens[1] in noted:
            second.set()
            await asyncio.get_running_loop().create_future()

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", slow)
        writing = asyncio.create_task(uses.write())
        await second.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert await moments(database) == {tokens[0]: NOON, tokens[1]: None, tokens[2]: None}
    await uses.write()
    assert await moments(database) == dict.fromkeys(tokens, NOON)
