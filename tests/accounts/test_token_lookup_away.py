"""Tokens looked up while the database is away, hangs, or has too much to do."""

import asyncio
import logging

import pytest
from sqlalchemy import text

from accounts.database import Database
from accounts.tokens import lookup as lookup_module
from accounts.tokens.format import new_token as invented_token
from accounts.tokens.known import LookupUnavailable
from accounts.tokens.making import revoke_token
from tests.accounts.lookups import FRESH, STALE, Clock, Opened, Unsteady, until
from tests.accounts.people import OPERATOR, new_token


async def test_while_the_database_is_away_known_tokens_go_on(
    opened: Opened,
    database: Database,
    unsteady: Unsteady,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    new, lookup = await new_token(database), opened()
    await lookup.find(new.secret)
    unsteady.away = True
    for _ in range(int(STALE / FRESH) - 1):
        clock.at += FRESH
        for _ in range(20):
            assert await lookup.find(new.secret) is not None
        await until(lambda: not lookup._asking)
    # Asked again and again, but not for each request.
    assert unsteady.asked <= STALE / FRESH + 1
    with pytest.raises(LookupUnavailable, match="away"):
        await lookup.find(invented_token())
    clock.at += FRESH + 1
    with pytest.raises(LookupUnavailable, match="away"):
        await lookup.find(new.secret)
    unsteady.away = False
    clock.at += 2
    assert await lookup.find(new.secret) is not None
    # Said once, however often it was met.
    said = [record.message for record in caplog.records if record.name == "accounts.tokens.lookup"]
    assert len(said) == 2
    assert said[0].startswith(
        "The accounts database is away. Tokens that it confirmed lately go on working for 300 s"
    )
    assert said[1] == "The accounts database answers again."


async def test_a_database_that_comes_back_is_noticed_in_the_background(
    opened: Opened, database: Database, unsteady: Unsteady, clock: Clock
) -> None:
    new, lookup = await new_token(database), opened()
    await lookup.find(new.secret)
    unsteady.away = True
    clock.at += FRESH
    assert await lookup.find(new.secret) is not None
    unsteady.away = False
    async with database.write() as session:
        await revoke_token(session, new.row.id, OPERATOR)
    clock.at += 1.1
    # This one is still let in, and sets off the question.
    assert await lookup.find(new.secret) is not None
    await until(lambda: not lookup._asking)
    assert await lookup.find(new.secret) is None


async def test_a_database_that_hangs_holds_up_nobody_who_is_known(
    opened: Opened, database: Database, unsteady: Unsteady, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_module, "_PATIENCE_SECONDS", 0.05)
    new, lookup = await new_token(database), opened()
    await lookup.find(new.secret)
    clock.at += FRESH
    unsteady.gate.clear()
    async with asyncio.timeout(10):
        for _ in range(100):
            assert await lookup.find(new.secret) is not None
    assert unsteady.asked == 2


async def test_an_error_of_the_database_refuses_no_token(
    opened: Opened, database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    new, other, lookup = await new_token(database), await new_token(database), opened()
    await lookup.find(new.secret)
    async with database.write() as session:
        await session.execute(text("ALTER TABLE tokens RENAME TO elsewhere"))
    clock.at += FRESH
    for _ in range(3):
        assert await lookup.find(new.secret) is not None
        with pytest.raises(LookupUnavailable, match="away"):
            await lookup.find(other.secret)
    async with database.write() as session:
        await session.execute(text("ALTER TABLE elsewhere RENAME TO tokens"))
    clock.at += 1.1
    assert await lookup.find(other.secret) is not None
    (said,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert said.exc_info is not None


async def test_too_many_questions_are_refused_at_once(
    opened: Opened, unsteady: Unsteady, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_module, "_WAITING", 5)
    lookup = opened()
    unsteady.gate.clear()
    asking = [asyncio.create_task(lookup.find(invented_token())) for _ in range(5)]
    await until(lambda: len(lookup._asking) == 5)
    with pytest.raises(LookupUnavailable, match="Too many"):
        await lookup.find(invented_token())
    assert unsteady.asked <= 3, "so many are asked at a time"
    unsteady.gate.set()
    assert await asyncio.gather(*asking) == [None] * 5


async def test_those_that_wait_for_a_database_that_goes_away_do_not_wait_in_turn(
    opened: Opened, unsteady: Unsteady
) -> None:
    lookup = opened()
    unsteady.gate.clear()
    unsteady.away = True
    asking = [asyncio.create_task(lookup.find(invented_token())) for _ in range(20)]
    await until(lambda: len(lookup._asking) == 20)
    unsteady.gate.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(one, LookupUnavailable) for one in answers)
    assert unsteady.asked == 3
