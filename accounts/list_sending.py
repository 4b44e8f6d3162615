"""Sending a message to all who are on the mailing list, and counting and naming them, for an operator."""

import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.adding import find_or_add
from accounts.audit import Actor, record
from accounts.database import Database
from accounts.links import LinkKeys
from accounts.mail.clerk import LIST_MESSAGE
from accounts.tables.base import now
from accounts.tables.mail import OutboxMail
from accounts.tables.mailing_list import ListMessage, Subscription, Suppression

MAX_SUBJECT: Final = 200
#: So many at a time, so that nobody waits long for the database.
_CHUNK: Final = 500

_ACTIVE: Final = (Subscription.consented_at.is_not(None), Subscription.unsubscribed_at.is_(None))


class UnfitMessage(ValueError):
    """The message cannot be sent; its own message says what to change."""


class AlreadySent(Exception):
    """The same message was sent before.

    Attributes:
        at: When.
    """

    def __init__(self, at: datetime) -> None:
        super().__init__(f"The same message was sent on {at:%d %B %Y, %H:%M} UTC.")
        self.at = at


@dataclass(frozen=True, slots=True)
class Message:
    """A message to the list.

    Attributes:
        subject: One line of at most 200 characters.
        text: The words, in CommonMark.
    """

    subject: str
    text: str

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            UnfitMessage: It cannot be sent.
        """
        if not 1 <= len(self.subject) <= MAX_SUBJECT or not self.subject.isprintable():
            raise UnfitMessage(f"A subject has 1 to {MAX_SUBJECT} printable characters, on one line.")
        if not self.text.strip():
            raise UnfitMessage("The message has no words below its subject.")
        if "\0" in self.text:
            raise UnfitMessage("The message has a character 0 in it, which no mail can have.")


@dataclass(frozen=True, slots=True)
class Queued:
    """A message that is on its way.

    Attributes:
        id: Its id.
        mails: How many mails were queued just now.
        resumed: Whether an earlier run was broken off, and this one went on with it.
    """

    id: uuid.UUID
    mails: int
    resumed: bool


async def send_to_list(
    database: Database,
    keys: LinkKeys,
    actor: Actor,
    message: Message,
    *,
    again: bool = False,
    chunk: int = _CHUNK,
    clock: Callable[[], datetime] = now,
) -> Queued:
    """Queue a message to everybody on the list. The gateway sends them.

    Broken off, it goes on where it was when it is called again with the same message: nobody gets it twice.

    Args:
        database: Where the list is.
        keys: Digest addresses, for suppressions.
        actor: The operator.
        message: The message.
        again: Send it although it was sent before, to everybody.
        chunk: How many mails are queued in one transaction.
        clock: The time.

    Raises:
        AlreadySent: It was, and `again` is not set.
        accounts.database.DatabaseAway: See there.
    """
    async with database.write() as session:
        row, resumed = await _open(session, message, again=again, moment=clock())
    mails, last = 0, None
    while True:
        async with database.write() as session:
            # Locked, so that two who send the same take turns.
            await session.get(ListMessage, row.id, with_for_update=True)
            found = await _subscribers(session, chunk, after=last, without=row.id)
            if not found:
                break
            last = found[-1].id
            suppressed = await _suppressed(session, keys, found)
            for subscriber in found:
                if subscriber.id not in suppressed:
                    mails += 1
                    session.add(
                        OutboxMail(
                            kind=LIST_MESSAGE,
                            recipient=subscriber.email,
                            subscription_id=subscriber.id,
                            list_message_id=row.id,
                        )
                    )
    async with database.write() as session:
        sent = await session.get_one(ListMessage, row.id)
        sent.completed_at = clock()
        record(session, actor, "list.send", message=str(row.id), mails=mails, resumed=resumed)
    return Queued(row.id, mails, resumed)


async def count_readers(database: Database, keys: LinkKeys) -> int:
    """Count to how many a message would go now."""
    return sum([1 async for _ in readers(database, keys)])


async def readers(database: Database, keys: LinkKeys, chunk: int = _CHUNK) -> AsyncIterator[Subscription]:
    """Everybody on the list who may be written to, in no particular order."""
    last = None
    while True:
        async with database.read() as session:
            found = await _subscribers(session, chunk, after=last)
            suppressed = await _suppressed(session, keys, found)
        if not found:
            return
        for subscriber in found:
            if subscriber.id not in suppressed:
                yield subscriber
        last = found[-1].id


async def list_figures(database: Database) -> dict[str, int]:
    """Count subscriptions, those who left, and suppressed addresses."""
    async with database.read() as session:
        return {
            "subscribed": await session.scalar(select(func.count()).where(*_ACTIVE)) or 0,
            "unsubscribed": await session.scalar(
                select(func.count()).where(Subscription.unsubscribed_at.is_not(None))
            )
            or 0,
            "suppressed": await session.scalar(select(func.count()).select_from(Suppression)) or 0,
        }


async def _open(
    session: AsyncSession, message: Message, *, again: bool, moment: datetime
) -> tuple[ListMessage, bool]:
    same = select(ListMessage).where(ListMessage.subject == message.subject, ListMessage.text == message.text)
    broken_off = await session.scalar(same.where(ListMessage.completed_at.is_(None)).limit(1))
    if broken_off is not None:
        return broken_off, True
    new = uuid.uuid4()
    content = f"{message.subject}\0{message.text}" + (f"\0{new}" if again else "")
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    row = await find_or_add(
        session,
        select(ListMessage).where(ListMessage.digest == digest),
        lambda: ListMessage(
            id=new, digest=digest, subject=message.subject, text=message.text, created_at=moment
        ),
    )
    if row.completed_at is not None:
        raise AlreadySent(row.completed_at)
    return row, row.id != new


async def _subscribers(
    session: AsyncSession, number: int, *, after: uuid.UUID | None, without: uuid.UUID | None = None
) -> Sequence[Subscription]:
    query = select(Subscription).where(*_ACTIVE).order_by(Subscription.id).limit(number)
    if after is not None:
        query = query.where(Subscription.id > after)
    if without is not None:
        query = query.where(
            ~exists().where(
                OutboxMail.list_message_id == without, OutboxMail.subscription_id == Subscription.id
            )
        )
    return (await session.scalars(query)).all()


async def _suppressed(
    session: AsyncSession, keys: LinkKeys, subscribers: Sequence[Subscription]
) -> set[uuid.UUID]:
    digests = {
        digest: subscriber.id
        for subscriber in subscribers
        for digest in keys.suppression_digests(subscriber.email_key)
    }
    found = await session.scalars(
        select(Suppression.address_digest).where(Suppression.address_digest.in_(digests))
    )
    return {digests[digest] for digest in found}
