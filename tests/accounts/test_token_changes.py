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
    assert (changes._settled, changes._seen) == (2, {})
    await database.close()


async def test_where_too_much_has_changed_everything_may_have(
    database: Database, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    changes = Changes(database, ear, every_seconds=1)
    await changes.look()
    ear.since()
    for _ in range(3):
        await new_account(database)
    await changes.look()
    assert ear.since() == [None]
    await changes.look()
    assert ear.since() == []


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
