"""On PostgreSQL, those who change rows of one account wait for each other, and never in a circle."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest
from sqlalchemy import select, text, update

from accounts.addresses import EmailAddress
from accounts.database import Database
from accounts.holders import delete_account
from accounts.links import LinkKeys, LinkUnknown
from accounts.sign_up import SignUp
from accounts.tables import Account, DailyUsage, Token
from accounts.tables.mail import OutboxMail
from accounts.tokens.last_used import LastUsed
from accounts.tokens.making import UnknownToken, make_token, revoke_token, rotate_token
from accounts.tokens.news import News
from accounts.usage import UsageLedger
from accounts.usage_counts import Counts
from tests.accounts.people import KEYS, OPERATOR, new_account, new_token

MONDAY = date(2026, 3, 2)
ONE = Counts(requests=1, images=1)
ADA = EmailAddress.parse("ada@example.org")

# SQLite has one writer at a time.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
async def watcher(database: Database, database_url: str) -> AsyncIterator[Database]:
    """Connections of its own, however many wait on those of `database`."""
    opened = Database(database_url, timeout=30)
    yield opened
    await opened.close()


async def until_waiting(watcher: Database, number: int) -> None:
    """Wait until so many of the database's sessions wait for another's lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(20):
        while True:
            async with watcher.read() as session:
                if await session.scalar(waiting) == number:
                    return
            await asyncio.sleep(0.005)


async def tokens_in_order(database: Database) -> tuple[uuid.UUID, list[uuid.UUID]]:
    """Three tokens by their ids. The first and the last are of one account, which has them in the other order."""
    first, middle, last = sorted(uuid.uuid4() for _ in range(3))
    account, other = [await new_account(database) for _ in range(2)]
    for token, owner in ((last, account), (middle, other), (first, account)):
        async with database.write() as session:
            session.add(
                Token(
                    id=token,
                    account_id=owner,
                    name="test",
                    digest=token.bytes * 2,
                    hint="",
                    scopes=("sport",),
                )
            )
    return account, [first, middle, last]


async def owner_of(database: Database, token: uuid.UUID) -> uuid.UUID:
    async with database.read() as session:
        return (await session.scalars(select(Token.account_id).where(Token.id == token))).one()


async def deleted(database: Database, account: uuid.UUID) -> None:
    async with database.write() as session:
        await delete_account(session, account, OPERATOR)


async def test_what_is_used_is_written_beside_whoever_changes_the_account_s_tokens(
    database: Database,
) -> None:
    account = await new_account(database)
    first, second, third = [(await new_token(database, account)).row.id for _ in range(3)]
    ledger = UsageLedger(database, interval=60, batch=1000, today=lambda: MONDAY)
    for token in (first, second, third):
        ledger.count(token, account, ONE)
    async with database.write() as session:
        await rotate_token(session, KEYS, second, OPERATOR)
        await revoke_token(session, third, OPERATOR)
        await make_token(session, KEYS, account, OPERATOR, name="one more")
        await session.flush()
        async with asyncio.timeout(10):
            await ledger.write()
    assert ledger.unwritten == 0


async def test_a_token_is_rotated_after_or_before_its_account_is_deleted(
    database: Database, watcher: Database
) -> None:
    token = (await new_token(database)).row
    async with database.write() as deleting:
        await deleting.get(Account, token.account_id, with_for_update=True)

        async def rotate() -> None:
            async with database.write() as session:
                await rotate_token(session, KEYS, token.id, OPERATOR)

        rotating = asyncio.create_task(rotate())
        await until_waiting(watcher, 1)
        await delete_account(deleting, token.account_id, OPERATOR)
    with pytest.raises(UnknownToken):
        await rotating


@pytest.mark.parametrize("known", [True, False], ids=["to sign in", "to sign up"])
async def test_a_link_is_followed_after_or_before_its_account_is_deleted(
    database: Database, watcher: Database, known: bool
) -> None:
    link_keys = LinkKeys(b"a secret key of at least 32 bytes")
    sign_up = SignUp(
        database,
        link_keys,
        KEYS,
        News(),
        is_open=True,
        link_lifetime=timedelta(hours=1),
        session_lifetime=timedelta(hours=1),
    )

    async def secret() -> str:
        await sign_up.ask(ADA)
        async with database.read() as session:
            newest = select(OutboxMail.id).order_by(OutboxMail.created_at.desc()).limit(1)
            return link_keys.secret_of((await session.scalars(newest)).one())

    early = await secret()
    account = (await sign_up.confirm(await secret())).account_id
    followed = await secret() if known else early
    async with database.write() as deleting:
        await deleting.get(Account, account, with_for_update=True)
        following = asyncio.create_task(sign_up.confirm(followed))
        await until_waiting(watcher, 1)
        await delete_account(deleting, account, OPERATOR)
        # With the address go the links that were sent to it, of an account or not.
        await deleting.execute(text("DELETE FROM links WHERE email = 'ada@example.org'"))
    with pytest.raises(LinkUnknown):
        await following


async def test_when_tokens_were_used_is_written_before_their_account_is_deleted(
    database: Database, watcher: Database, caplog: pytest.LogCaptureFixture
) -> None:
    account, tokens = await tokens_in_order(database)
    uses = LastUsed(database, every_seconds=60)
    for token in tokens:
        uses.note(token, 1_000_000.0)
    async with database.write() as busy:
        await busy.execute(update(Token).where(Token.id == tokens[1]).values(name="changed"))
        writing = asyncio.create_task(uses.write())
        await until_waiting(watcher, 1)
        deleting = asyncio.create_task(deleted(database, account))
        await until_waiting(watcher, 2)
    await asyncio.gather(writing, deleting)
    assert caplog.text == ""
    assert uses._noted == {}


async def test_usage_is_written_before_its_account_is_deleted(database: Database, watcher: Database) -> None:
    account, (first, middle, last) = await tokens_in_order(database)
    other = await owner_of(database, middle)
    ledger = UsageLedger(database, interval=60, batch=1000, today=lambda: MONDAY)
    ledger.count(first, account, ONE)
    ledger.count(middle, other, ONE)
    await ledger.write()
    for token, owner in ((first, account), (middle, other), (last, account)):
        ledger.count(token, owner, ONE)
    async with database.write() as busy:
        await busy.execute(update(DailyUsage).where(DailyUsage.token_id == middle).values(failed=1))
        writing = asyncio.create_task(ledger.write())
        await until_waiting(watcher, 1)
        deleting = asyncio.create_task(deleted(database, account))
        await until_waiting(watcher, 2)
    await asyncio.gather(writing, deleting)
    async with database.read() as session:
        (row,) = (await session.scalars(select(DailyUsage))).all()
        assert (row.token_id, row.requests, row.failed) == (middle, 2, 1)


async def test_what_an_account_that_is_being_deleted_used_is_left_out(
    database: Database, watcher: Database
) -> None:
    account, (first, middle, last) = await tokens_in_order(database)
    other = await owner_of(database, middle)
    ledger = UsageLedger(database, interval=60, batch=1000, today=lambda: MONDAY)
    uses = LastUsed(database, every_seconds=60)
    for token, owner in ((first, account), (middle, other), (last, account)):
        ledger.count(token, owner, ONE)
        uses.note(token, 1_000_000.0)
    async with database.write() as deleting:
        await delete_account(deleting, account, OPERATOR)
        await deleting.flush()
        writing = [asyncio.create_task(ledger.write()), asyncio.create_task(uses.write())]
        await until_waiting(watcher, 2)
    await asyncio.gather(*writing)
    async with database.read() as session:
        assert (await session.scalars(select(DailyUsage.token_id))).all() == [middle]
        assert [one.last_used_at is None for one in await session.scalars(select(Token))] == [False]
    assert (ledger.unwritten, uses._noted) == (0, {})
