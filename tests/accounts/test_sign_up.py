"""Signing up below HTTP, on both databases: what only the owner of an address learns, and which secrets are kept."""

import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text

from accounts.addresses import EmailAddress
from accounts.asking_limits import AskedTooOften, AskingLimits
from accounts.audit import Actor
from accounts.database import Database
from accounts.holders import find_by_email, make_account, set_disabled
from accounts.limits import MemoryLimiter
from accounts.links import LinkExpired, LinkKeys, LinkUnknown, LinkUsed
from accounts.mailing_list import MailingList
from accounts.sign_up import AccountDisabled, SignUp
from accounts.tables.mail import OutboxMail
from accounts.tokens import making
from accounts.tokens.keys import TokenKeys
from accounts.tokens.making import TokenProblem, list_tokens, make_token, revoke_token
from accounts.tokens.news import News

SECRET = b"a secret key of at least 32 bytes"
KEYS = LinkKeys(SECRET)
ADA, EVE = EmailAddress.parse("ada@example.org"), EmailAddress.parse("eve@example.org")


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sign_up(database: Database, clock: Clock) -> SignUp:
    return SignUp(
        database,
        KEYS,
        TokenKeys(SECRET),
        News(),
        is_open=True,
        link_lifetime=timedelta(hours=24),
        session_lifetime=timedelta(hours=1),
        clock=clock,
    )


async def newest_mail(database: Database) -> OutboxMail:
    async with database.read() as session:
        found = await session.scalars(select(OutboxMail))
        return max(found, key=lambda mail: (mail.next_attempt_at, mail.id))


async def ask(database: Database, sign_up: SignUp, clock: Clock, address: EmailAddress = ADA) -> str:
    clock.now += timedelta(seconds=1)
    await sign_up.ask(address)
    return KEYS.secret_of((await newest_mail(database)).id)


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collects the SQL that is run."""
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def test_known_and_unknown_addresses_cost_the_same_statements(
    database: Database, sign_up: SignUp, clock: Clock
) -> None:
    mailing_list = MailingList(database, KEYS, link_lifetime=timedelta(hours=24), clock=clock)
    await sign_up.confirm(await ask(database, sign_up, clock))
    clock.now += timedelta(seconds=1)
    await mailing_list.ask(ADA, "test")
    await mailing_list.confirm(KEYS.secret_of((await newest_mail(database)).id))

    async def run(act: Callable[[EmailAddress], Awaitable[None]], address: EmailAddress) -> list[str]:
        with statements(database) as seen:
            await act(address)
        return seen

    async def subscribe(address: EmailAddress) -> None:
        await mailing_list.ask(address, "test")

    for act in (sign_up.ask, subscribe):
        known, unknown = await run(act, ADA), await run(act, EVE)
        assert known == unknown
        assert sum("INSERT" in statement for statement in known) == 2
    async with database.read() as session:
        kinds = await session.scalars(select(OutboxMail.kind).order_by(OutboxMail.kind))
        assert kinds.all() == [
            "account.confirm",
            "account.confirm",
            "account.sign_in",
            "list.already",
            "list.confirm",
            "list.confirm",
        ]


async def test_no_secret_of_a_link_or_token_is_in_the_database(
    database: Database, sign_up: SignUp, clock: Clock
) -> None:
    secret = await ask(database, sign_up, clock)
    token = (await sign_up.confirm(secret)).token
    waiting = await ask(database, sign_up, clock, EVE)
    async with database.read() as session:
        for table in ("accounts", "tokens", "links", "outbox", "audit_log"):
            rows = (await session.execute(text(f"SELECT * FROM {table}"))).all()
            assert rows
            for found in (secret, token, waiting):
                assert found not in str(rows)
                assert found.encode() not in b"".join(
                    bytes(v) for r in rows for v in r if isinstance(v, bytes)
                )


async def test_links_end_and_work_once(database: Database, sign_up: SignUp, clock: Clock) -> None:
    secret = await ask(database, sign_up, clock)
    clock.now += timedelta(hours=24)
    for act in (sign_up.look, sign_up.confirm):
        with pytest.raises(LinkExpired):
            await act(secret)
    secret = await ask(database, sign_up, clock)
    assert not (await sign_up.look(secret)).account_exists
    assert (await sign_up.confirm(secret)).created
    with pytest.raises(LinkUsed):
        await sign_up.confirm(secret)
    with pytest.raises(LinkUnknown):
        await sign_up.confirm(KEYS.secret_of(uuid.uuid4()))


async def test_a_link_of_a_deleted_account_is_gone(database: Database, sign_up: SignUp, clock: Clock) -> None:
    await sign_up.confirm(await ask(database, sign_up, clock))
    secret = await ask(database, sign_up, clock)
    async with database.write() as session:
        account = await find_by_email(session, ADA)
        await session.delete(account)
    with pytest.raises(LinkUnknown):
        await sign_up.confirm(secret)


async def test_a_disabled_account_is_not_entered_and_its_link_is_not_used_up(
    database: Database, sign_up: SignUp, clock: Clock
) -> None:
    operator = Actor.operator("me")
    async with database.write() as session:
        account = await make_account(session, operator, email=ADA)
        await set_disabled(session, account.id, operator, disabled=True)
    secret = await ask(database, sign_up, clock)
    with pytest.raises(AccountDisabled):
        await sign_up.confirm(secret)
    async with database.write() as session:
        await set_disabled(session, account.id, operator, disabled=False)
    assert (await sign_up.confirm(secret)).account_id == account.id


async def test_who_has_an_earlier_session_cannot_keep_its_owner_out(
    database: Database, sign_up: SignUp, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "MAX_TOKENS", 2)
    monkeypatch.setattr(making, "MAX_A_DAY", 3)
    keys = TokenKeys(SECRET)
    first = await sign_up.confirm(await ask(database, sign_up, clock))
    me = Actor.account(first.account_id)

    async def make(name: str) -> uuid.UUID:
        async with database.write() as session:
            return (await make_token(session, keys, first.account_id, me, name=name)).row.id

    made = [await make(str(number)) for number in range(2)]
    with pytest.raises(TokenProblem, match="2 is the most"):
        await make("too many at once")
    async with database.write() as session:
        await revoke_token(session, made[0], me)
    await make("the last of the day")
    assert (await sign_up.confirm(await ask(database, sign_up, clock))).account_id == first.account_id
    async with database.write() as session:
        await revoke_token(session, made[1], me)
    with pytest.raises(TokenProblem, match="3 tokens within a day"):
        await make("too many a day")
    again = await sign_up.confirm(await ask(database, sign_up, clock))
    async with database.read() as session:
        rows = await list_tokens(session, first.account_id)
    sessions = [row for row in rows if row.name == making.SESSION_NAME]
    assert [row.revoked_at is None for row in sessions] == [False, False, True]
    assert keys.digest(again.token) == sessions[-1].digest


async def test_sessions_are_not_among_the_tokens_that_an_account_may_have(
    database: Database, sign_up: SignUp, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "MAX_TOKENS", 1)
    monkeypatch.setattr(making, "MAX_A_DAY", 1)
    for _ in range(3):
        signed_in = await sign_up.confirm(await ask(database, sign_up, clock))
    async with database.write() as session:
        await make_token(
            session, TokenKeys(SECRET), signed_in.account_id, Actor.account(signed_in.account_id), name="one"
        )


async def test_limits_count_addresses_in_every_spelling_and_networks_first() -> None:
    limits = AskingLimits(MemoryLimiter(), SECRET, per_address=2, per_network=3)
    await limits.check(EmailAddress.parse("Ada@example.org"), "192.0.2.1")
    await limits.check(EmailAddress.parse("ada@EXAMPLE.org"), "192.0.2.2")
    with pytest.raises(AskedTooOften) as refused:
        await limits.check(ADA, "192.0.2.3")
    assert refused.value.by_address
    assert 1790 < refused.value.retry_after <= 1800
    for _ in range(2):
        await limits.check(EVE, "192.0.2.3")
    # This network has used up its share, and takes nothing from addresses any more.
    for _ in range(5):
        with pytest.raises(AskedTooOften) as refused:
            await limits.check(EmailAddress.parse("kim@example.org"), "192.0.2.3")
        assert not refused.value.by_address
    await limits.check(EmailAddress.parse("kim@example.org"), "192.0.2.4")
