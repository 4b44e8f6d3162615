"""Mails while the secret key is changed, on both databases: links that work, and who is not written to."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from accounts.addresses import EmailAddress
from accounts.audit import Actor
from accounts.database import Database
from accounts.links import LinkKeys, follow_link
from accounts.mail.clerk import SIGN_IN, MailClerk, MailUrls
from accounts.mail.composing import Sender
from accounts.mail.outbox import Outbox
from accounts.mail.queueing import queue_with_link
from accounts.mail.senders import MailDeferred
from accounts.mail.worker import NotWanted
from accounts.mailing_list import suppress
from accounts.privacy import export_everything
from tests.accounts.people import new_account

OLD, NEW = b"o" * 32, b"n" * 32
BEFORE, AFTER = LinkKeys(OLD), LinkKeys(NEW, previous=OLD)
ADA = EmailAddress.parse("ada@example.org")
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
ACCOUNTS = "https://sport.example.org/accounts/confirmations"


def clerk(database: Database, keys: LinkKeys) -> MailClerk:
    sender = Sender(EmailAddress.parse("no-reply@example.org"), "Sport Vision")
    return MailClerk(
        database, keys, sender, MailUrls(ACCOUNTS, f"{ACCOUNTS}/b", f"{ACCOUNTS}/c"), lambda: NOW
    )


async def queue(database: Database, keys: LinkKeys) -> None:
    async with database.write() as session:
        queue_with_link(
            session,
            keys,
            kind=SIGN_IN,
            purpose="test",
            recipient=ADA.written,
            moment=NOW,
            lifetime=timedelta(hours=1),
        )


async def written(database: Database, keys: LinkKeys) -> str:
    (mail,) = await Outbox(database).claim(1)
    ready = await clerk(database, keys).write(mail)
    found = re.search(rf"^{re.escape(ACCOUNTS)}/(\S+)\r$", ready.content.decode(), re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("queued_by", [BEFORE, AFTER], ids=["queued before", "queued after"])
async def test_a_link_works_whichever_key_it_was_made_under(database: Database, queued_by: LinkKeys) -> None:
    await queue(database, queued_by)
    secret = await written(database, AFTER)
    async with database.write() as session:
        assert (await follow_link(session, AFTER, secret, ("test",), NOW)).email == ADA.written


async def test_a_mail_whose_link_another_key_made_waits_for_a_sender_that_knows_it(
    database: Database,
) -> None:
    await queue(database, AFTER)
    outbox = Outbox(database)
    (mail,) = await outbox.claim(1)
    with pytest.raises(MailDeferred, match="another secret key") as deferred:
        await clerk(database, BEFORE).write(mail)
    assert not deferred.value.whole_connection
    await outbox.released([mail])
    assert await written(database, AFTER)


@pytest.mark.parametrize(
    "suppressions",
    [((BEFORE, "complaint"), (AFTER, "unsubscribed")), ((BEFORE, "unsubscribed"), (AFTER, "complaint"))],
)
async def test_of_two_suppressions_the_graver_counts(
    database: Database, suppressions: Sequence[tuple[LinkKeys, str]]
) -> None:
    account_id = await new_account(database, email=ADA)
    async with database.write() as session:
        for keys, reason in suppressions:
            await suppress(session, keys, ADA.key, reason, NOW)
    await queue(database, AFTER)
    with pytest.raises(NotWanted, match="complaint"):
        await written(database, AFTER)
    export = await export_everything(database, AFTER, account_id, Actor.account(account_id))
    assert export["suppression"]["reason"] == "complaint"
