"""Puts a mail of the outbox into words, when it is about to be sent."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.addresses import EmailAddress
from accounts.database import Database
from accounts.links import LinkKeys
from accounts.mail.composing import Letter, ReadyMail, Sender, compose
from accounts.mail.letters import already_subscribed, confirm_sign_up, confirm_subscription, sign_in
from accounts.mail.list_letters import list_letter
from accounts.mail.outbox import ClaimedMail
from accounts.mail.senders import MailDeferred, MailRefused
from accounts.mail.worker import NotWanted
from accounts.suppressions import UNREACHABLE, find_suppression
from accounts.tables.base import now
from accounts.tables.mail import Link, OutboxMail
from accounts.tables.mailing_list import ListMessage, Subscription

#: The kinds of mails, as the outbox names them.
SIGN_UP: Final = "account.confirm"
SIGN_IN: Final = "account.sign_in"
#: To somebody without an account, where nobody may sign up: it is written down as all are, and never sent.
CLOSED: Final = "account.closed"
CONFIRM_SUBSCRIPTION: Final = "list.confirm"
ALREADY_SUBSCRIBED: Final = "list.already"
LIST_MESSAGE: Final = "list.message"


@dataclass(frozen=True, slots=True)
class MailUrls:
    """Where the links in mails lead; each is followed by a slash and the link's secret."""

    confirm_account: str
    confirm_subscription: str
    unsubscribe: str


class MailClerk:
    """Knows every kind of mail."""

    def __init__(
        self,
        database: Database,
        keys: LinkKeys,
        sender: Sender,
        urls: MailUrls,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._database = database
        self._keys = keys
        self._sender = sender
        self._urls = urls
        self._clock = clock
        self._list_id = f"news.{sender.address.envelope.rpartition('@')[2]}"

    async def write(self, mail: ClaimedMail) -> ReadyMail:
        """Write it.

        Raises:
            NotWanted: Its link is over, its reader has left the list, or the address takes no mail.
            MailDeferred: It is of a kind that this version does not know, or its link was made under a secret key
                that this process does not know. Another replica may.
            MailRefused: It cannot be written down.
            accounts.database.DatabaseAway: See there.
        """
        async with self._database.read() as session:
            row = await session.get(OutboxMail, mail.id)
            if row is None:
                raise NotWanted("what it was about is deleted")
            try:
                recipient = EmailAddress.parse(row.recipient)
                letter = await self._letter(session, row, recipient)
                return compose(
                    letter, key=str(row.id), sender=self._sender, recipient=recipient, made=row.created_at
                )
            except ValueError as error:
                raise MailRefused(f"it cannot be written: {error}") from error

    async def _letter(self, session: AsyncSession, row: OutboxMail, recipient: EmailAddress) -> Letter:
        suppression = await find_suppression(session, self._keys, recipient.key)
        reason = None if suppression is None else suppression.reason
        if reason in UNREACHABLE:
            raise NotWanted(f"the address is suppressed: {reason}")
        if row.kind in {SIGN_UP, SIGN_IN, CONFIRM_SUBSCRIPTION}:
            return await self._with_link(session, row)
        if row.kind == CLOSED:
            raise NotWanted("nobody may sign up here")
        if row.kind not in {ALREADY_SUBSCRIBED, LIST_MESSAGE}:
            raise MailDeferred(f'mails of the kind "{row.kind}" are not known here', whole_connection=False)
        if reason is not None:
            raise NotWanted(f"the address is suppressed: {reason}")
        subscription = await self._subscription(session, row.subscription_id)
        url = f"{self._urls.unsubscribe}/{self._keys.unsubscribe_token(subscription)}"
        if row.kind == ALREADY_SUBSCRIBED:
            return already_subscribed(url)
        message = await session.get(ListMessage, row.list_message_id)
        if message is None:
            raise NotWanted("the message is deleted")
        return list_letter(message.subject, message.text, unsubscribe_url=url, list_id=self._list_id)

    async def _with_link(self, session: AsyncSession, row: OutboxMail) -> Letter:
        expires = datetime.fromisoformat(row.data["expires_at"])
        if expires <= self._clock():
            raise NotWanted("its link is over")
        secrets = self._keys.secrets_of(row.id)
        # No other link than one that is kept: nobody could follow it.
        digest = await session.scalar(select(Link.digest).where(Link.digest.in_(secrets)))
        if digest is None:
            raise MailDeferred("its link was made under another secret key", whole_connection=False)
        secret = secrets[digest]
        if row.kind == CONFIRM_SUBSCRIPTION:
            return confirm_subscription(f"{self._urls.confirm_subscription}/{secret}", expires)
        words = confirm_sign_up if row.kind == SIGN_UP else sign_in
        return words(f"{self._urls.confirm_account}/{secret}", expires)

    async def _subscription(self, session: AsyncSession, subscription: uuid.UUID | None) -> uuid.UUID:
        found = await session.scalar(
            select(Subscription.id).where(
                Subscription.id == subscription,
                Subscription.consented_at.is_not(None),
                Subscription.unsubscribed_at.is_(None),
            )
        )
        if found is None:
            raise NotWanted("its reader has left the list")
        return found
