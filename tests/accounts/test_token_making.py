import asyncio
import uuid
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from accounts.audit import Actor, entries
from accounts.database import Database
from accounts.holders import delete_account
from accounts.tables import Token
from accounts.tables.base import now
from accounts.tokens import making
from accounts.tokens.format import is_well_formed
from accounts.tokens.keys import TokenKeys
from accounts.tokens.making import (
    MAX_TOKENS,
    TokenProblem,
    UnknownAccount,
    UnknownToken,
    list_tokens,
    make_token,
    revoke_token,
    rotate_token,
)
from tests.accounts.people import KEYS, OPERATOR, new_account, new_token


async def tokens_of(database: Database, account_id: uuid.UUID) -> list[Token]:
    async with database.read() as session:
        return list(await list_tokens(session, account_id))


async def test_only_a_keyed_digest_is_kept(database: Database) -> None:
    new = await new_token(database)
    (row,) = await tokens_of(database, new.row.account_id)
    assert is_well_formed(new.secret)
    assert row.digest == KEYS.digest(new.secret)
    assert row.digest != TokenKeys(b"another secret key of 32 bytes or more").digest(new.secret)
    kept = " ".join(str(getattr(row, column.key)) for column in Token.__table__.columns)
    assert new.secret[:-4] not in kept
    assert row.hint == new.secret[-4:]
    assert new.secret not in repr(new)


async def test_names_scopes_expiry_and_plan_are_kept(database: Database) -> None:
    account_id, ends = await new_account(database), now() + timedelta(days=3)
    async with database.write() as session:
        await make_token(
            session,
            KEYS,
            account_id,
            OPERATOR,
            name="  the\tcamera ",
            scopes=["sport", "usage"],
            expires_at=ends,
            plan="large",
        )
    (row,) = await tokens_of(database, account_id)
    assert (row.name, row.scopes, row.expires_at, row.plan) == (
        "the camera",
        ("sport", "usage"),
        ends,
        "large",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "  "}, "needs a name"),
        ({"name": "n" * 101}, "needs a name of 1 to 100"),
        ({"name": "a\0b"}, "printable"),
        ({"scopes": ["sport", "everything"]}, "The scopes are sport, product, usage, account"),
        ({"scopes": []}, "one scope at least"),
        ({"expires_at": now() - timedelta(seconds=1)}, "would have expired"),
    ],
)
async def test_tokens_that_cannot_be(database: Database, changes: dict[str, object], message: str) -> None:
    account_id = await new_account(database)
    given: dict[str, object] = {"name": "x", **changes}
    with pytest.raises(TokenProblem, match=message):
        async with database.write() as session:
            await make_token(session, KEYS, account_id, OPERATOR, **given)  # type: ignore[arg-type]
    assert await tokens_of(database, account_id) == []


async def test_no_token_for_nobody(database: Database) -> None:
    with pytest.raises(UnknownAccount):
        async with database.write() as session:
            await make_token(session, KEYS, uuid.uuid4(), OPERATOR, name="x")


async def test_no_more_tokens_than_allowed_however_many_ask_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "MAX_TOKENS", 3)
    account_id = await new_account(database)
    results = await asyncio.gather(
        *(new_token(database, account_id) for _ in range(6)), return_exceptions=True
    )
    refused = [one for one in results if isinstance(one, TokenProblem)]
    assert len(refused) == 3
    assert len(await tokens_of(database, account_id)) == 3
    assert MAX_TOKENS == 50


async def test_not_too_many_within_a_day(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "MAX_A_DAY", 2)
    account_id = await new_account(database)
    for _ in range(2):
        new = await new_token(database, account_id)
        async with database.write() as session:
            await revoke_token(session, new.row.id, OPERATOR)
    with pytest.raises(TokenProblem, match="within a day"):
        await new_token(database, account_id)


async def test_rotating_leaves_the_old_one_for_the_grace(database: Database) -> None:
    ends = now() + timedelta(days=30)
    old = await new_token(database, expires_at=ends, plan="large")
    async with database.write() as session:
        new = await rotate_token(session, KEYS, old.row.id, OPERATOR, grace=timedelta(minutes=5))
    kept_old, kept_new = await tokens_of(database, old.row.account_id)
    assert new.secret != old.secret
    assert (kept_new.name, kept_new.scopes, kept_new.plan) == (kept_old.name, kept_old.scopes, "large")
    assert _near(kept_old.expires_at, now() + timedelta(minutes=5))
    assert _near(kept_new.expires_at, ends)
    assert kept_old.revoked_at is None


def _near(moment: datetime | None, expected: datetime) -> bool:
    return moment is not None and abs(moment - expected) < timedelta(minutes=1)


async def test_rotating_without_grace_revokes_at_once(database: Database) -> None:
    old = await new_token(database)
    async with database.write() as session:
        await rotate_token(session, KEYS, old.row.id, OPERATOR, grace=timedelta())
    assert [row.revoked_at is None for row in await tokens_of(database, old.row.account_id)] == [False, True]
    with pytest.raises(TokenProblem, match="revoked or expired"):
        async with database.write() as session:
            await rotate_token(session, KEYS, old.row.id, OPERATOR)
    with pytest.raises(TokenProblem, match="between 0 and 30 days"):
        async with database.write() as session:
            await rotate_token(session, KEYS, old.row.id, OPERATOR, grace=timedelta(days=31))


async def test_nobody_touches_the_tokens_of_others(database: Database) -> None:
    mine, theirs = await new_token(database), await new_token(database)
    for change in (revoke_token, lambda *given, **named: rotate_token(given[0], KEYS, *given[1:], **named)):
        with pytest.raises(UnknownToken):
            async with database.write() as session:
                await change(
                    session,
                    theirs.row.id,
                    Actor.account(mine.row.account_id),
                    account_id=mine.row.account_id,
                )
    assert (await tokens_of(database, theirs.row.account_id))[0].revoked_at is None


async def test_revoking_twice_is_revoking_once(database: Database) -> None:
    new = await new_token(database)
    moments, changes = set(), []
    for _ in range(2):
        async with database.write() as session:
            token, changed = await revoke_token(session, new.row.id, OPERATOR)
        moments.add(token.revoked_at)
        changes.append(changed)
    assert len(moments) == 1
    assert changes == [True, False]


async def test_everything_is_in_the_audit_log_without_a_secret(database: Database) -> None:
    old = await new_token(database)
    account_id = old.row.account_id
    me = Actor.account(account_id)
    async with database.write() as session:
        new = await rotate_token(session, KEYS, old.row.id, me, account_id=account_id)
        await revoke_token(session, old.row.id, me, account_id=account_id)
        await delete_account(session, account_id, OPERATOR)
    async with database.read() as session:
        found = list(reversed(await entries(session, account_id=account_id)))
        assert (await session.scalars(select(Token))).all() == []
    assert [(one.actor_kind, one.action) for one in found] == [
        ("operator", "account.make"),
        ("operator", "token.make"),
        ("account", "token.make"),
        ("account", "token.rotate"),
        ("account", "token.revoke"),
        ("operator", "account.delete"),
    ]
    assert found[2].details == {"scopes": ["product", "sport", "usage"], "replaces": str(old.row.id)}
    assert (found[3].token_id, found[3].details) == (old.row.id, {"grace_minutes": 60.0})
    written = str([(one.actor, one.details) for one in found])
    assert old.secret not in written
    assert new.secret not in written
