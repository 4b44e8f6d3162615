import json
import uuid
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import func, select

from accounts.addresses import EmailAddress
from accounts.audit import Actor, entries
from accounts.database import Database
from accounts.holders import (
    AddressTaken,
    delete_account,
    export_account,
    find_by_email,
    make_account,
    set_disabled,
    set_plan,
)
from accounts.tables import Account, Base, DailyUsage, Link, Subscription
from accounts.tokens.making import UnknownAccount
from tests.accounts.people import OPERATOR, new_account, new_token

ADA = EmailAddress.parse("Ada@Example.org")


async def rows(database: Database, table: type[Base]) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_one_account_for_an_address_however_it_is_written(database: Database) -> None:
    account_id = await new_account(database, email=ADA)
    async with database.read() as session:
        found = await find_by_email(session, EmailAddress.parse("ADA@example.ORG"))
        assert found is not None
        assert (found.id, found.email) == (account_id, "Ada@example.org")
    with pytest.raises(AddressTaken):
        await new_account(database, email=EmailAddress.parse("aDA@example.org"))
    # Any number may have none.
    assert await new_account(database) != await new_account(database)


async def test_disabled_and_enabled(database: Database) -> None:
    account_id = await new_account(database)
    for disabled in (True, True, False, False):
        async with database.write() as session:
            account = await set_disabled(session, account_id, OPERATOR, disabled=disabled)
        assert (account.disabled_at is not None) == disabled
    async with database.read() as session:
        actions = [one.action for one in await entries(session, account_id=account_id)]
    assert actions == ["account.enable", "account.disable", "account.make"]


async def test_a_plan_is_changed(database: Database) -> None:
    account_id = await new_account(database)
    async with database.write() as session:
        assert (await set_plan(session, account_id, OPERATOR, "large")).plan == "large"
    async with database.read() as session:
        (entry, *_) = await entries(session, account_id=account_id)
    assert entry.details == {"before": None, "after": "large"}


async def test_nobody_is_nobody(database: Database) -> None:
    for change in (
        lambda session: set_disabled(session, uuid.uuid4(), OPERATOR, disabled=True),
        lambda session: set_plan(session, uuid.uuid4(), OPERATOR, None),
        lambda session: delete_account(session, uuid.uuid4(), OPERATOR),
        lambda session: export_account(session, uuid.uuid4()),
    ):
        with pytest.raises(UnknownAccount):
            async with database.write() as session:
                await change(session)


async def full_account(database: Database) -> uuid.UUID:
    account_id = await new_account(database, email=ADA)
    new = await new_token(database, account_id)
    async with database.write() as session:
        session.add(DailyUsage(token_id=new.row.id, account_id=account_id, day=date(2026, 1, 2), images=3))
        session.add(Subscription(email=ADA.written, email_key=ADA.key, consent_source="test"))
        session.add(
            Link(
                digest=b"d" * 32,
                purpose="test",
                account_id=account_id,
                expires_at=datetime(2027, 1, 1, tzinfo=UTC),
            )
        )
    return account_id


async def test_an_export_has_all_but_the_digests(database: Database) -> None:
    account_id = await full_account(database)
    async with database.read() as session:
        export = json.loads(json.dumps(await export_account(session, account_id)))
    assert export["account"]["email"] == "Ada@example.org"
    assert export["tokens"][0]["scopes"] == ["product", "sport", "usage"]
    assert (export["usage"][0]["day"], export["usage"][0]["images"]) == ("2026-01-02", 3)
    assert export["subscriptions"][0]["consent_source"] == "test"
    assert [one["action"] for one in export["audit_log"]] == ["account.make", "token.make"]
    assert export["links"][0]["purpose"] == "test"
    assert "digest" not in str(export)


async def test_a_deletion_leaves_the_audit_log_and_the_subscription(database: Database) -> None:
    account_id = await full_account(database)
    other = await new_token(database)
    async with database.write() as session:
        await delete_account(session, account_id, Actor.account(account_id))
    async with database.read() as session:
        assert (await session.scalars(select(Account.id))).all() == [other.row.account_id]
        found = await entries(session, account_id=account_id)
    assert [one.action for one in found] == ["account.delete", "token.make", "account.make"]
    assert "ada" not in str([(one.actor, one.details) for one in found]).lower()
    assert [await rows(database, table) for table in (DailyUsage, Link, Subscription)] == [0, 0, 1]


async def test_the_newest_entries_come_first_and_are_cut(database: Database) -> None:
    for number in range(5):
        async with database.write() as session:
            await make_account(session, Actor.service(f"part {number}"))
    async with database.read() as session:
        assert [one.actor for one in await entries(session, newest=2)] == ["part 4", "part 3"]
