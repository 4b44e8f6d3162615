"""What is kept of somebody, shown and deleted, on both databases."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.addresses import EmailAddress
from accounts.audit import Actor, entries
from accounts.database import Database
from accounts.export_limit import EXPORTS_PER_HOUR, ExportedTooOften, ExportLimit
from accounts.limits import MemoryLimiter
from accounts.links import LinkKeys
from accounts.mail.clerk import CONFIRM_SUBSCRIPTION, LIST_MESSAGE, SIGN_IN, SIGN_UP
from accounts.mail.queueing import queue_with_link
from accounts.privacy import erase, export_everything
from accounts.tables import AuditEntry, Subscription
from accounts.tables.mail import Link, OutboxMail
from accounts.tokens.making import UnknownAccount
from tests.accounts.people import new_account

KEYS = LinkKeys(b"k" * 32)
ADA, EVE = EmailAddress.parse("Ada@example.org"), EmailAddress.parse("eve@example.org")
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


def queue(
    session: AsyncSession, kind: str, recipient: str, purpose: str, account: uuid.UUID | None = None
) -> None:
    queue_with_link(
        session,
        KEYS,
        kind=kind,
        purpose=purpose,
        recipient=recipient,
        moment=NOW,
        lifetime=timedelta(hours=1),
        account_id=account,
    )


async def exported(database: Database, account_id: uuid.UUID) -> dict[str, Any]:
    found: dict[str, Any] = await export_everything(database, KEYS, account_id, Actor.account(account_id))
    return found


async def test_an_export_shows_every_mail_and_link_that_a_deletion_removes(database: Database) -> None:
    account_id = await new_account(database, email=ADA)
    subscription = Subscription(id=uuid.uuid4(), email=ADA.written, email_key=ADA.key, consent_source="test")
    async with database.write() as session:
        session.add(subscription)
        await session.flush()
        # As one asks before there is an account, and for the list in another spelling.
        queue(session, SIGN_UP, ADA.written, "account.confirm")
        queue(session, CONFIRM_SUBSCRIPTION, "ADA@EXAMPLE.ORG", "list.confirm")
        queue(session, SIGN_IN, ADA.written, "account.confirm", account_id)
        session.add(
            OutboxMail(
                kind=LIST_MESSAGE, recipient=ADA.written, subscription_id=subscription.id, created_at=NOW
            )
        )
        queue(session, SIGN_UP, EVE.written, "account.confirm")
    export = await exported(database, account_id)
    assert sorted(mail["kind"] for mail in export["mails"]) == [
        "account.confirm",
        "account.sign_in",
        "list.confirm",
        "list.message",
    ]
    assert sorted(link["purpose"] for link in export["links"]) == [
        "account.confirm",
        "account.confirm",
        "list.confirm",
    ]
    text = json.dumps(export)
    assert "digest" not in text
    assert "eve" not in text
    async with database.write() as session:
        await erase(session, KEYS, account_id, Actor.account(account_id), NOW)
    async with database.read() as session:
        assert (await session.scalars(select(OutboxMail.recipient))).all() == [EVE.written]
        assert (await session.scalars(select(Link.email))).all() == [EVE.written]


async def test_an_export_shows_the_newest_of_a_long_log_and_says_how_long_it_is(database: Database) -> None:
    account_id = await new_account(database)
    async with database.write() as session:
        session.add_all(
            AuditEntry(actor_kind="service", actor=f"{number}", action="test", account_id=account_id)
            for number in range(1_000)
        )
    export = await exported(database, account_id)
    assert [entry["actor"] for entry in export["audit_log"]] == [str(number) for number in range(1_000)]
    assert export["audit_log_entries"] == 1_001
    again = await exported(database, account_id)
    assert again["audit_log"][-1]["action"] == "account.export"
    assert (len(again["audit_log"]), again["audit_log_entries"]) == (1_000, 1_002)


async def test_nothing_is_read_where_others_wait_to_write(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id = await new_account(database, email=ADA)
    seen: list[str] = []
    writing: list[str] = []
    write = database.write

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    @asynccontextmanager
    async def watched() -> AsyncIterator[AsyncSession]:
        before = len(seen)
        async with write() as session:
            yield session
        writing.extend(seen[before:])

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    monkeypatch.setattr(database, "write", watched)
    await exported(database, account_id)
    assert [statement for statement in writing if "INSERT INTO audit_log" in statement]
    assert not [statement for statement in writing if "FROM" in statement]


async def test_nobody_is_not_exported_and_no_such_thing_is_recorded(database: Database) -> None:
    nobody = uuid.uuid4()
    with pytest.raises(UnknownAccount):
        await exported(database, nobody)
    async with database.read() as session:
        assert await entries(session, account_id=nobody) == []


async def test_exports_are_counted_for_each_account_by_itself() -> None:
    limit = ExportLimit(MemoryLimiter())
    ada, eve = uuid.uuid4(), uuid.uuid4()
    for _ in range(EXPORTS_PER_HOUR):
        await limit.check(ada)
    with pytest.raises(ExportedTooOften) as refused:
        await limit.check(ada)
    assert 0 < refused.value.retry_after <= 3600 / EXPORTS_PER_HOUR
    await limit.check(eve)
