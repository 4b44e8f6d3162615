"""Messages to the mailing list, on both databases."""

import asyncio
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from accounts.addresses import EmailAddress
from accounts.audit import Actor
from accounts.database import Database
from accounts.links import LinkKeys, LinkUnknown
from accounts.list_sending import (
    AlreadySent,
    Message,
    UnfitMessage,
    count_readers,
    list_figures,
    send_to_list,
)
from accounts.mail.clerk import MailClerk, MailUrls
from accounts.mail.composing import Sender
from accounts.mail.outbox import Outbox
from accounts.mail.worker import NotWanted
from accounts.mailing_list import MailingList, suppress
from accounts.tables.mail import OutboxMail
from accounts.tables.mailing_list import ListMessage, Subscription

KEYS = LinkKeys(b"k" * 32)
OPERATOR = Actor.operator("me")
NEWS = Message("News of March", "A *new* model.\n")


async def subscribe(database: Database, *names: str, consented: bool = True) -> None:
    moment = datetime.now(UTC)
    async with database.write() as session:
        session.add_all(
            Subscription(
                email=f"{name}@example.org",
                email_key=f"{name}@example.org",
                consent_source="test",
                consented_at=moment if consented else None,
            )
            for name in names
        )


async def queued(database: Database) -> list[str]:
    async with database.read() as session:
        found = await session.scalars(select(OutboxMail.recipient).where(OutboxMail.kind == "list.message"))
        return sorted(address.partition("@")[0] for address in found)


async def test_a_message_goes_to_those_who_agreed_and_to_nobody_else(database: Database) -> None:
    await subscribe(database, "ada", "eve", "kim", "left")
    await subscribe(database, "unsure", consented=False)
    async with database.write() as session:
        await session.execute(
            update(Subscription)
            .where(Subscription.email == "left@example.org")
            .values(unsubscribed_at=datetime.now(UTC))
        )
        await suppress(session, KEYS, "eve@example.org", "bounced", datetime.now(UTC))
    assert await count_readers(database, KEYS) == 2
    assert (await send_to_list(database, KEYS, OPERATOR, NEWS)).mails == 2
    assert await queued(database) == ["ada", "kim"]
    assert await list_figures(database) == {"subscribed": 3, "unsubscribed": 1, "suppressed": 1}


async def test_the_same_message_goes_once_unless_it_is_meant(database: Database) -> None:
    await subscribe(database, "ada")
    await send_to_list(database, KEYS, OPERATOR, NEWS)
    with pytest.raises(AlreadySent, match="was sent on"):
        await send_to_list(database, KEYS, OPERATOR, NEWS)
    assert await queued(database) == ["ada"]
    await send_to_list(database, KEYS, OPERATOR, NEWS, again=True)
    assert await queued(database) == ["ada", "ada"]
    await send_to_list(database, KEYS, OPERATOR, Message("News of April", NEWS.text))
    assert len(await queued(database)) == 3


@pytest.mark.parametrize("again", [False, True])
async def test_what_was_broken_off_goes_on_and_nobody_gets_it_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    names = [f"reader{number:02}" for number in range(25)]
    await subscribe(database, *names)
    if again:
        await send_to_list(database, KEYS, OPERATOR, NEWS)
    write, transactions = database.write, 0

    def failing_write() -> object:
        nonlocal transactions
        transactions += 1
        if transactions == 4:
            raise ConnectionError("the machine goes down")
        return write()

    monkeypatch.setattr(database, "write", failing_write)
    with pytest.raises(ConnectionError):
        await send_to_list(database, KEYS, OPERATOR, NEWS, again=again, chunk=5)
    monkeypatch.undo()
    before = len(await queued(database))
    assert before == 10 + 25 * again
    # Meanwhile some have their mail, and long after that it is forgotten that the first were sent.
    outbox = Outbox(database, clock=lambda: datetime.now(UTC) + timedelta(days=30))
    for mail in await outbox.claim(40):
        await outbox.sent(mail)
    await outbox.forget_old()
    done = await send_to_list(database, KEYS, OPERATOR, NEWS, again=again, chunk=5)
    assert (done.mails, done.resumed) == (15, True)
    async with database.read() as session:
        message = (await session.scalars(select(ListMessage).order_by(ListMessage.created_at.desc()))).first()
        assert message is not None
        mails = await session.scalars(
            select(OutboxMail.recipient).where(OutboxMail.list_message_id == message.id)
        )
        counts = Counter(mails)
    assert set(counts) == {f"{name}@example.org" for name in names}
    assert set(counts.values()) == {1}


async def test_two_who_send_the_same_at_once_send_it_once(database: Database) -> None:
    names = [f"reader{number:02}" for number in range(30)]
    await subscribe(database, *names)
    results = await asyncio.gather(
        *(send_to_list(database, KEYS, OPERATOR, NEWS, chunk=7) for _ in range(3)), return_exceptions=True
    )
    assert await queued(database) == names
    assert all(not isinstance(result, Exception) or isinstance(result, AlreadySent) for result in results)


@pytest.mark.parametrize(
    ("subject", "text"), [("", "x"), ("x" * 201, "x"), ("a\nBcc: b", "x"), ("x", " \n"), ("x", "a\0b")]
)
def test_messages_that_cannot_be(subject: str, text: str) -> None:
    with pytest.raises(UnfitMessage):
        Message(subject, text)


async def test_who_leaves_before_it_is_sent_does_not_get_it(database: Database) -> None:
    await subscribe(database, "ada", "eve", "kim")
    await send_to_list(database, KEYS, OPERATOR, NEWS)
    clerk = MailClerk(
        database,
        KEYS,
        Sender(EmailAddress.parse("news@example.org"), "Sport Vision"),
        MailUrls("https://x.example.org/a", "https://x.example.org/b", "https://x.example.org/c"),
    )
    mailing_list = MailingList(database, KEYS, link_lifetime=timedelta(days=1))
    async with database.read() as session:
        ids = {one.email[:3]: one.id for one in await session.scalars(select(Subscription))}
        mails = {one.id: one.recipient[:3] for one in await session.scalars(select(OutboxMail))}
    await mailing_list.unsubscribe(KEYS.unsubscribe_token(ids["ada"]))
    async with database.write() as session:
        await suppress(session, KEYS, "eve@example.org", "complaint", datetime.now(UTC))
    written = {}
    for mail in await Outbox(database).claim(3):
        try:
            written[mails[mail.id]] = (await clerk.write(mail)).content.decode()
        except NotWanted as reason:
            written[mails[mail.id]] = str(reason)
    assert written["ada"] == "the address is suppressed: unsubscribed"
    assert written["eve"] == "the address is suppressed: complaint"
    url = f"https://x.example.org/c/{KEYS.unsubscribe_token(ids['kim'])}"
    assert f"List-Unsubscribe: <{url}>\r\n" in written["kim"]
    assert "<em>new</em>" in written["kim"]


def test_unsubscribe_tokens_are_ours_for_ever_and_nobody_makes_them_up() -> None:
    subscription = uuid.uuid4()
    token = KEYS.unsubscribe_token(subscription)
    assert KEYS.read_unsubscribe_token(token) == subscription
    renewed = LinkKeys(b"n" * 32, previous=b"k" * 32)
    assert renewed.read_unsubscribe_token(token) == subscription
    assert renewed.unsubscribe_token(subscription) != token
    assert set(KEYS.suppression_digests("a")) <= set(renewed.suppression_digests("a"))
    stranger = LinkKeys(b"x" * 32)
    other = token[:30] + ("A" if token[30] != "A" else "B") + token[31:]
    for keys, text in ((stranger, token), (KEYS, other), (KEYS, token[:-1]), (KEYS, ""), (KEYS, "é" * 43)):
        with pytest.raises(LinkUnknown):
            keys.read_unsubscribe_token(text)
