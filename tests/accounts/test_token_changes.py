"""Revocations by others, seen in the audit log."""

import asyncio
import uuid

import pytest

from accounts import migrating
from accounts.audit import Actor, record
from accounts.database import Database, DatabaseAway
from accounts.tokens import changes as module
from accounts.tokens.changes import Changes
from accounts.tokens.making import revoke_token, rotate_token
from tests.accounts.people import KEYS, OPERATOR, new_account, new_token


class Ear:
    def __init__(self) -> None:
        self.heard: list[uuid.UUID | None] = []

    def __call__(self, identity: uuid.UUID | None) -> None:
        self.heard.append(identity)

    def since(self) -> list[uuid.UUID | None]:
        heard, self.heard = self.heard, []
        return heard


@pytest.fixture
def ear() -> Ear:
    return Ear()


async def test_each_change_is_told_once(database: Database, ear: Ear) -> None:
    first, second = await new_token(database), await new_token(database)
    changes = Changes(database, ear, every_seconds=1)
    await changes.look()
    assert ear.since() == [None], "what was remembered before may be old"
    await changes.look()
    assert ear.since() == []
    async with database.write() as session:
        await revoke_token(session, first.row.id, OPERATOR)
        await rotate_token(session, KEYS, second.row.id, OPERATOR)
    account_id = await new_account(database)
    async with database.write() as session:
        record(session, OPERATOR, "account.disable", account_id=account_id)
        record(session, Actor.service("list"), "list.send", mails=3)
    await changes.look()
    assert set(ear.since()) == {first.row.id, second.row.id, account_id}
    await changes.look()
    assert ear.since() == []


async def test_an_entry_that_is_seen_after_a_later_one_is_not_missed(postgres_url: str, ear: Ear) -> None:
    await migrating.upgrade(postgres_url)
    database = Database(postgres_url)
    clock = [0.0]
    changes = Changes(database, ear, every_seconds=1, clock=lambda: clock[0])
    await changes.look()
    early, late = uuid.uuid4(), uuid.uuid4()
    ear.since()
    async with database.write() as slow:
        record(slow, OPERATOR, "account.disable", account_id=early)
        await slow.flush()
        async with database.write() as quick:
            record(quick, OPERATOR, "account.disable", account_id=late)
        await changes.look()
        assert ear.since() == [late]
    await changes.look()
    assert ear.since() == [early]
    clock[0] = module._SETTLED_SECONDS
    await changes.look()
    assert (changes._settled, changes._seen) == (2, set())
    await database.close()


async def test_where_too_much_has_changed_everything_may_have(
    database: Database, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    changes = Changes(database, ear, every_seconds=1)
    await changes.look()
    ear.since()
    await disable(database, 7)
    await changes.look()
    assert ear.since() == [None]
    # Once for all of them, and again one by one.
    one = await disable(database, 1)
    await changes.look()
    assert ear.since() == one
    await changes.look()
    assert ear.since() == []


async def disable(database: Database, number: int) -> list[uuid.UUID]:
    accounts = [uuid.uuid4() for _ in range(number)]
    async with database.write() as session:
        for account in accounts:
            record(session, OPERATOR, "account.disable", account_id=account)
    return accounts


async def test_entries_that_change_nothing_make_nobody_forget_and_are_settled_too(
    database: Database, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    clock = [0.0]
    changes = Changes(database, ear, every_seconds=1, clock=lambda: clock[0])
    await changes.look()
    ear.since()
    async with database.write() as session:
        for _ in range(10):
            record(session, OPERATOR, "account.export", account_id=uuid.uuid4())
    await changes.look()
    (one,) = await disable(database, 1)
    async with database.write() as session:
        record(session, OPERATOR, "token.make", account_id=uuid.uuid4())
    await changes.look()
    assert ear.since() == [one]
    clock[0] = module._SETTLED_SECONDS
    await changes.look()
    assert (changes._settled, changes._seen, ear.since()) == (12, set(), [])


@pytest.mark.parametrize("before", ["the first look", "too much at once"])
async def test_an_entry_that_is_seen_after_all_was_forgotten_is_not_missed(
    postgres_url: str, ear: Ear, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    await migrating.upgrade(postgres_url)
    database = Database(postgres_url)
    clock = [0.0]
    changes = Changes(database, ear, every_seconds=1, clock=lambda: clock[0])
    if before == "too much at once":
        await changes.look()
    ear.since()
    early = uuid.uuid4()
    async with database.write() as slow:
        record(slow, OPERATOR, "account.disable", account_id=early)
        await slow.flush()
        await disable(database, 3 if before == "too much at once" else 1)
        await changes.look()
        assert ear.since() == [None]
        clock[0] += module._SETTLED_SECONDS / 2
        await changes.look()
    clock[0] += module._SETTLED_SECONDS / 4
    await changes.look()
    assert ear.since() == [early]
    clock[0] += module._SETTLED_SECONDS / 4
    await changes.look()
    assert (changes._seen, ear.since()) == (set(), [])
    await database.close()


async def test_no_failure_ends_the_following_and_each_kind_is_logged_once(
    database: Database, ear: Ear, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    changes = Changes(database, ear, every_seconds=0.001)
    failures: list[Exception] = [
        RuntimeError("odd"),
        DatabaseAway("gone"),
        RuntimeError("odd"),
        KeyError("odd"),
    ]
    look = changes.look

    async def fail() -> None:
        if failures:
            raise failures.pop(0)
        await look()

    monkeypatch.setattr(changes, "look", fail)
    following = asyncio.create_task(changes.follow())
    async with asyncio.timeout(20):
        while ear.heard != [None]:
            await asyncio.sleep(0.005)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [RuntimeError, KeyError]


async def test_a_database_that_comes_back_tells_what_was_missed(
    database: Database, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await new_token(database)
    changes = Changes(database, ear, every_seconds=0.01)
    await changes.look()
    look, failed = changes.look, asyncio.Event()

    async def away() -> None:
        failed.set()
        raise DatabaseAway("on purpose")

    monkeypatch.setattr(changes, "look", away)
    following = asyncio.create_task(changes.follow())
    await failed.wait()
    async with database.write() as session:
        await revoke_token(session, new.row.id, OPERATOR)
    monkeypatch.setattr(changes, "look", look)
    async with asyncio.timeout(20):
        while new.row.id not in ear.heard:
            await asyncio.sleep(0.01)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
