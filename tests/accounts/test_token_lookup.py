"""Tokens looked up on the hot path: what is remembered, and for how long."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from accounts.database import Database
from accounts.holders import delete_account, set_disabled, set_plan
from accounts.tables.base import now
from accounts.tokens.format import new_token as invented_token
from accounts.tokens.keys import TokenKeys
from accounts.tokens.making import revoke_token, rotate_token
from tests.accounts.lookups import FRESH, Clock, Opened, Unsteady, until
from tests.accounts.people import KEYS, OPERATOR, new_account, new_token


async def test_a_good_token_and_what_it_is_good_for(opened: Opened, database: Database) -> None:
    account_id = await new_account(database, plan="large")
    new = await new_token(database, account_id)
    known = await opened().find(new.secret)
    assert known is not None
    assert (known.token_id, known.account_id, known.plan) == (new.row.id, account_id, "large")
    assert known.scopes == {"sport", "product", "usage"}
    own = await new_token(database, account_id, plan="small")
    known = await opened().find(own.secret)
    assert known is not None
    assert known.plan == "small"


async def test_a_thousand_requests_ask_the_database_once(opened: Opened, database: Database) -> None:
    new, lookup = await new_token(database), opened()
    for _ in range(1000):
        assert await lookup.find(new.secret) is not None
    assert (lookup.counts.asked, lookup.counts.queries) == (1000, 1)


async def test_a_crowd_asks_once(opened: Opened, database: Database, unsteady: Unsteady) -> None:
    new, lookup = await new_token(database), opened()
    unsteady.gate.clear()
    crowd = [asyncio.create_task(lookup.find(new.secret)) for _ in range(50)]
    await until(lambda: unsteady.asked == 1)
    # One of them goes away, and takes nothing from the others.
    crowd[0].cancel()
    unsteady.gate.set()
    answers = await asyncio.gather(*crowd, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert {getattr(one, "token_id", None) for one in answers[1:]} == {new.row.id}
    assert unsteady.asked == 1


@pytest.mark.parametrize("token", ["", "sv_", "x" * 39, "sv_" + "é" * 36, invented_token()[:-1] + "!"])
async def test_a_malformed_token_never_reaches_the_database(
    opened: Opened, unsteady: Unsteady, token: str
) -> None:
    lookup = opened()
    unsteady.away = True
    assert await lookup.find(token) is None
    assert (unsteady.asked, lookup.counts.malformed) == (0, 1)


async def test_an_invented_token_is_asked_for_once(opened: Opened, unsteady: Unsteady) -> None:
    lookup, token = opened(), invented_token()
    for _ in range(10):
        assert await lookup.find(token) is None
    assert unsteady.asked == 1


async def test_invented_tokens_push_out_no_real_one(opened: Opened, database: Database) -> None:
    new, lookup = await new_token(database), opened(size=5)
    await lookup.find(new.secret)
    for _ in range(20):
        assert await lookup.find(invented_token()) is None
    before = lookup.counts.queries
    assert await lookup.find(new.secret) is not None
    assert lookup.counts.queries == before
    assert len(lookup._memory) == 6


async def test_memory_is_bounded_by_the_least_recently_used(opened: Opened, database: Database) -> None:
    account_id, lookup = await new_account(database), opened(size=2)
    first, second, third = [await new_token(database, account_id) for _ in range(3)]
    for one in (first, second, first, third):
        await lookup.find(one.secret)
    assert lookup.counts.queries == 3
    await lookup.find(first.secret)
    assert lookup.counts.queries == 3
    await lookup.find(second.secret)
    assert lookup.counts.queries == 4


async def test_a_token_in_use_never_waits(
    opened: Opened, database: Database, unsteady: Unsteady, clock: Clock
) -> None:
    new, lookup = await new_token(database), opened()
    await lookup.find(new.secret)
    clock.at += FRESH * 0.6
    unsteady.gate.clear()
    # Answered although the database does not answer, which is asked meanwhile, once.
    for _ in range(5):
        assert await lookup.find(new.secret) is not None
    await until(lambda: unsteady.asked == 2)
    unsteady.gate.set()
    await until(lambda: not lookup._asking)
    clock.at += FRESH * 0.45
    assert await lookup.find(new.secret) is not None
    assert unsteady.asked == 2


async def test_a_revocation_is_seen_within_the_fresh_time(
    opened: Opened, database: Database, clock: Clock
) -> None:
    new, lookup = await new_token(database), opened()
    assert await lookup.find(new.secret) is not None
    async with database.write() as session:
        await revoke_token(session, new.row.id, OPERATOR)
    clock.at += FRESH
    assert await lookup.find(new.secret) is None


async def test_news_are_seen_at_once(opened: Opened, database: Database) -> None:
    account_id, lookup = await new_account(database), opened()
    first, second = [await new_token(database, account_id) for _ in range(2)]
    for one in (first, second):
        assert await lookup.find(one.secret) is not None
    async with database.write() as session:
        await revoke_token(session, first.row.id, OPERATOR)
    lookup.forget(first.row.id)
    assert await lookup.find(first.secret) is None
    async with database.write() as session:
        await set_disabled(session, account_id, OPERATOR, disabled=True)
    lookup.forget(account_id)
    assert await lookup.find(second.secret) is None
    async with database.write() as session:
        await set_disabled(session, account_id, OPERATOR, disabled=False)
        await set_plan(session, account_id, OPERATOR, "large")
    lookup.forget(account_id)
    known = await lookup.find(second.secret)
    assert known is not None
    assert known.plan == "large"
    async with database.write() as session:
        await delete_account(session, account_id, OPERATOR)
    lookup.forget(None)
    assert await lookup.find(second.secret) is None


async def test_news_that_come_while_the_database_is_asked_are_not_lost(
    opened: Opened, database: Database, unsteady: Unsteady, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, lookup = await new_token(database), opened()
    read, seen, go_on = lookup._read, asyncio.Event(), asyncio.Event()

    async def slow(token: str) -> Any:
        found = await read(token)
        seen.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(lookup, "_read", slow)
    asking = asyncio.create_task(lookup.find(new.secret))
    await seen.wait()
    async with database.write() as session:
        await revoke_token(session, new.row.id, OPERATOR)
    lookup.forget(new.row.id)
    go_on.set()
    assert await asking is None
    assert unsteady.asked == 2


@pytest.mark.parametrize("news", ["a stranger", "the token", "the account", "all"])
async def test_only_news_of_the_token_has_it_asked_for_again_and_never_without_end(
    opened: Opened,
    database: Database,
    unsteady: Unsteady,
    monkeypatch: pytest.MonkeyPatch,
    news: str,
) -> None:
    new, lookup = await new_token(database), opened()
    identity = {
        "a stranger": uuid.uuid4(),
        "the token": new.row.id,
        "the account": new.row.account_id,
        "all": None,
    }
    read = lookup._read

    async def disturbed(token: str) -> Any:
        found = await read(token)
        lookup.forget(identity[news])
        return found

    monkeypatch.setattr(lookup, "_read", disturbed)
    async with asyncio.timeout(20):
        assert await lookup.find(new.secret) is not None
    assert (unsteady.asked, len(lookup._memory)) == ((1, 1) if news == "a stranger" else (3, 0))


async def test_an_unknown_token_is_asked_for_once_whatever_the_news(
    opened: Opened, unsteady: Unsteady, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup = opened()
    read = lookup._read

    async def disturbed(token: str) -> Any:
        lookup.forget(uuid.uuid4())
        return await read(token)

    monkeypatch.setattr(lookup, "_read", disturbed)
    assert await lookup.find(invented_token()) is None
    assert unsteady.asked == 1


async def test_expiry_needs_no_look_at_the_database(opened: Opened, database: Database) -> None:
    wall = Clock(now().timestamp())
    ends = now() + timedelta(hours=1)
    new, lookup = await new_token(database, expires_at=ends), opened(wall_clock=wall)
    assert await lookup.find(new.secret) is not None
    wall.at = ends.timestamp()
    assert await lookup.find(new.secret) is None
    assert lookup.counts.queries == 1


async def test_a_rotated_token_goes_on_until_its_grace_ends(opened: Opened, database: Database) -> None:
    wall = Clock(now().timestamp())
    old, lookup = await new_token(database), opened(wall_clock=wall)
    async with database.write() as session:
        new = await rotate_token(session, KEYS, old.row.id, OPERATOR, grace=timedelta(minutes=10))
    assert await lookup.find(old.secret) is not None
    assert await lookup.find(new.secret) is not None
    wall.at += 601
    assert await lookup.find(old.secret) is None
    assert await lookup.find(new.secret) is not None


async def test_tokens_of_the_previous_secret_key_go_on(opened: Opened, database: Database) -> None:
    old_key, new_key = b"the old secret key, 32 bytes or more", b"the new secret key, 32 bytes or more"
    old = await new_token(database, keys=TokenKeys(old_key))
    assert await opened(keys=TokenKeys(new_key)).find(old.secret) is None
    assert await opened(keys=TokenKeys(new_key, old_key)).find(old.secret) is not None


async def test_an_account_that_is_not_confirmed_has_no_use_of_its_tokens(
    opened: Opened, database: Database
) -> None:
    account_id = await new_account(database, confirmed=False)
    new = await new_token(database, account_id)
    assert await opened().find(new.secret) is None
