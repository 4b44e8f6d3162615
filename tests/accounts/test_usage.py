"""Counting in memory and writing in batches, on SQLite and on PostgreSQL."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from accounts import usage
from accounts.database import Database, DatabaseAway
from accounts.tables import Account, DailyUsage, Token
from accounts.usage import UsageLedger, open_ledger
from accounts.usage_counts import Counts

MONDAY = date(2026, 3, 2)
ONE = Counts(requests=1, images=1)


async def new_account(database: Database, tokens: int = 1) -> tuple[uuid.UUID, list[uuid.UUID]]:
    account = uuid.uuid4()
    made = [uuid.uuid4() for _ in range(tokens)]
    async with database.write() as session:
        session.add(Account(id=account))
        await session.flush()
        session.add_all(
            Token(
                id=one, account_id=account, name="test", digest=one.bytes * 2, hint="abcd", scopes=("sport",)
            )
            for one in made
        )
    return account, made


class Calendar:
    def __init__(self) -> None:
        self.day = MONDAY

    def __call__(self) -> date:
        return self.day


def ledger_of(database: Database, calendar: Calendar | None = None, **changes: int) -> UsageLedger:
    return UsageLedger(database, interval=60, batch=1000, today=calendar or Calendar(), **changes)


async def rows(database: Database) -> dict[tuple[uuid.UUID, date], Counts]:
    async with database.read() as session:
        found = await session.scalars(select(DailyUsage))
        return {
            (row.token_id, row.day): Counts(row.requests, row.images, row.refused, row.failed)
            for row in found
        }


async def test_counts_are_added_up_by_token_and_day(database: Database) -> None:
    account, (first, second) = await new_account(database, tokens=2)
    calendar = Calendar()
    ledger = ledger_of(database, calendar)
    for _ in range(3):
        ledger.count(first, account, Counts(requests=1, images=2))
    ledger.count(second, account, Counts(refused=1))
    assert await rows(database) == {}
    await ledger.write()
    calendar.day += timedelta(days=1)
    ledger.count(first, account, Counts(requests=1, failed=1))
    await ledger.write()
    assert await rows(database) == {
        (first, MONDAY): Counts(3, 6, 0, 0),
        (second, MONDAY): Counts(0, 0, 1, 0),
        (first, calendar.day): Counts(1, 0, 0, 1),
    }
    assert ledger.unwritten == 0


async def test_two_replicas_add_to_the_same_rows(database: Database) -> None:
    account, tokens = await new_account(database, tokens=20)
    ledgers = [ledger_of(database) for _ in range(2)]
    for _ in range(5):
        for order, ledger in zip((tokens, tokens[::-1]), ledgers, strict=True):
            for token in order:
                ledger.count(token, account, ONE)
        await asyncio.gather(*(ledger.write() for ledger in ledgers))
    assert await rows(database) == {(token, MONDAY): Counts(10, 10) for token in tokens}


async def test_the_days_of_a_token_and_of_an_account_with_what_is_not_written_yet(database: Database) -> None:
    account, (first, second) = await new_account(database, tokens=2)
    stranger, (other,) = await new_account(database)
    calendar = Calendar()
    ledger = ledger_of(database, calendar)
    for _ in range(3):
        ledger.count(first, account, ONE)
        ledger.count(second, account, ONE)
        ledger.count(other, stranger, ONE)
        await ledger.write()
        calendar.day += timedelta(days=1)
    ledger.count(first, account, Counts(requests=4, images=5, refused=6, failed=7))
    days = [MONDAY + timedelta(days=number) for number in range(4)]
    one, rest = Counts(1, 1), Counts(4, 5, 6, 7)
    assert await ledger.daily(days[1], token_id=first) == {days[1]: one, days[2]: one, days[3]: rest}
    assert await ledger.daily(days[2], account_id=account) == {days[2]: Counts(2, 2), days[3]: rest}
    assert await ledger.daily(days[0], token_id=uuid.uuid4()) == {}
    assert list(await ledger.daily(days[0], token_id=other)) == days[:3]


class Slow:
    """A database that has read, and does not come to an end with it before it is told to."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.reads = 0
        self.gate = asyncio.Event()

    @property
    def kind(self) -> str:
        return self.database.kind

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        async with self.database.read() as session:
            yield session
        self.reads += 1
        await self.gate.wait()

    def write(self) -> AbstractAsyncContextManager[AsyncSession]:
        return self.database.write()

    async def until_read(self, times: int) -> None:
        await until(lambda: self.reads == times)


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0.005)


async def test_those_who_ask_hold_up_neither_each_other_nor_a_write(database: Database) -> None:
    account, (token,) = await new_account(database)
    slow = Slow(database)
    ledger = ledger_of(slow)  # type: ignore[arg-type]
    asking = [asyncio.create_task(ledger.daily(MONDAY, token_id=token)) for _ in range(10)]
    await slow.until_read(10)
    ledger.count(token, account, ONE)
    async with asyncio.timeout(20):
        await ledger.write()
    ledger.count(token, account, ONE)
    slow.gate.set()
    # They had read before the first was written, and find it neither in memory any more.
    assert await asyncio.gather(*asking) == [{MONDAY: Counts(2, 2)}] * 10
    assert slow.reads == 20


async def test_who_asks_is_answered_however_often_it_is_written_meanwhile(database: Database) -> None:
    account, (token,) = await new_account(database)
    slow = Slow(database)
    ledger = ledger_of(slow)  # type: ignore[arg-type]
    asking = asyncio.create_task(ledger.daily(MONDAY, token_id=token))
    for number in range(1, 4):
        await slow.until_read(number)
        ledger.count(token, account, ONE)
        await ledger.write()
        slow.gate.set()
        await asyncio.sleep(0)
        slow.gate.clear()
    await slow.until_read(4)
    ledger.count(token, account, ONE)
    writing = asyncio.create_task(ledger.write())
    slow.gate.set()
    assert await asking == {MONDAY: Counts(4, 4)}
    await writing
    assert ledger.unwritten == 0


async def test_nothing_is_counted_twice_or_missed_while_it_is_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, (token,) = await new_account(database)
    ledger = ledger_of(database)
    ledger.count(token, account, ONE)
    upsert, written, go_on = usage._upsert, asyncio.Event(), asyncio.Event()

    async def slow(*given: Any) -> None:
        await upsert(*given)
        written.set()
        await go_on.wait()

    monkeypatch.setattr(usage, "_upsert", slow)
    writing = asyncio.create_task(ledger.write())
    await written.wait()
    asking = asyncio.create_task(ledger.daily(MONDAY, token_id=token))
    await asyncio.sleep(0)
    ledger.count(token, account, ONE)
    go_on.set()
    assert await asking == {MONDAY: Counts(2, 2)}
    await writing


async def test_no_failure_ends_the_writing_and_each_kind_is_logged_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    account, (token,) = await new_account(database)
    failures = [RuntimeError("odd"), DatabaseAway("gone"), RuntimeError("odd"), DatabaseAway("gone")]
    upsert = usage._upsert

    async def fail(*given: Any) -> None:
        if failures:
            raise failures.pop(0)
        await upsert(*given)

    monkeypatch.setattr(usage, "_upsert", fail)
    async with open_ledger(database, interval=0.01, batch=1000) as ledger:
        ledger.count(token, account, ONE)
        await until(lambda: not ledger.unwritten)
    kept = "usage is kept in memory until it can be written: "
    assert [record.message for record in caplog.records] == [
        f"{kept}odd",
        f"{kept}gone",
        "usage is written again",
    ]
    assert list((await rows(database)).values()) == [ONE]


async def test_what_a_deleted_token_used_does_not_stand_in_the_way(database: Database) -> None:
    account, (kept, deleted) = await new_account(database, tokens=2)
    ledger = ledger_of(database)
    for token in (kept, deleted):
        ledger.count(token, account, ONE)
    await ledger.write()
    for token in (kept, deleted):
        ledger.count(token, account, ONE)
    async with database.write() as session:
        await session.execute(delete(Token).where(Token.id == deleted))
    await ledger.write()
    assert await rows(database) == {(kept, MONDAY): Counts(2, 2)}
    assert ledger.unwritten == 0


async def until_written(ledger: UsageLedger) -> None:
    await until(lambda: not ledger.unwritten)


@pytest.mark.parametrize(("interval", "batch"), [(0.01, 1000), (3600, 5)], ids=["by time", "by number"])
async def test_it_is_written_after_a_time_or_a_number(
    database: Database, interval: float, batch: int
) -> None:
    account, (token,) = await new_account(database)
    async with open_ledger(database, interval=interval, batch=batch) as ledger:
        for round_ in (1, 2):
            for _ in range(5):
                ledger.count(token, account, ONE)
            await until_written(ledger)
            (written,) = (await rows(database)).values()
            assert written == Counts(5 * round_, 5 * round_)


async def test_what_is_left_at_the_end_is_written(database: Database) -> None:
    account, (token,) = await new_account(database)
    async with open_ledger(database, interval=3600, batch=1000) as ledger:
        await asyncio.sleep(0)
        ledger.count(token, account, ONE)
    assert list((await rows(database)).values()) == [ONE]


async def test_what_cannot_be_written_is_kept_and_the_outage_logged_once(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, (token,) = await new_account(database)
    tries = 0

    def away() -> None:
        nonlocal tries
        tries += 1
        raise DatabaseAway("gone")

    async with open_ledger(database, interval=0.01, batch=1000) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(database, "write", away)
            ledger.count(token, account, ONE)
            async with asyncio.timeout(20):
                while tries < 3:
                    await asyncio.sleep(0.005)
            ledger.count(token, account, ONE)
            # It is shown all the same.
            assert list((await ledger.daily(MONDAY, token_id=token)).values()) == [Counts(2, 2)]
        await until_written(ledger)
    assert list((await rows(database)).values()) == [Counts(2, 2)]
    logged = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert logged == ["usage is kept in memory until it can be written: gone", "usage is written again"]


async def test_a_table_that_is_missing_does_not_end_the_writing(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(sqlite_url)
    async with open_ledger(database, interval=0.01, batch=1000) as ledger:
        ledger.count(uuid.uuid4(), uuid.uuid4(), ONE)
        async with asyncio.timeout(20):
            while not caplog.records:
                await asyncio.sleep(0.005)
    await database.close()
    assert "usage is kept in memory" in caplog.text
    assert "usage of 1 requests could not be written before the end" in caplog.text


async def test_what_is_kept_is_bounded_and_that_is_logged_once(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(sqlite_url)
    ledger = ledger_of(database, max_pending=2)
    tokens = [uuid.uuid4() for _ in range(4)]
    for _ in range(2):
        for token in tokens:
            ledger.count(token, tokens[0], ONE)
    assert ledger.unwritten == 4
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    await database.close()


async def test_a_write_that_fails_halfway_leaves_nothing_behind(database: Database) -> None:
    account, (token,) = await new_account(database)
    ledger = ledger_of(database)
    ledger.count(token, account, ONE)
    async with database.write() as session:
        await session.execute(text("ALTER TABLE usage_daily RENAME TO elsewhere"))
    with pytest.raises(Exception, match="usage_daily"):
        await ledger.write()
    async with database.write() as session:
        await session.execute(text("ALTER TABLE elsewhere RENAME TO usage_daily"))
    ledger.count(token, account, ONE)
    await ledger.write()
    assert list((await rows(database)).values()) == [Counts(2, 2)]
