"""The mailing list: on it by two steps, off it by one, and never back on it by somebody else's hand."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.adding import find_or_add
from accounts.addresses import EmailAddress
from accounts.database import Database
from accounts.links import LinkKeys, follow_link, look_at_link
from accounts.mail.clerk import ALREADY_SUBSCRIBED, CONFIRM_SUBSCRIPTION
from accounts.mail.queueing import queue_with_link
from accounts.tables.base import now
from accounts.tables.mailing_list import Subscription, Suppression

CONFIRM: Final = "list.confirm"
#: What a person's own new consent lifts; that a mailbox does not exist it does not.
_LIFTED_BY_CONSENT: Final = ("unsubscribed", "deleted")


@dataclass(frozen=True, slots=True)
class OpenConfirmation:
    """A link that can be followed.

    Attributes:
        email: The address that it was sent to.
        expires_at: Until when.
    """

    email: str
    expires_at: datetime


class MailingList:
    """What a subscriber can do. What an operator can do is in `accounts.list_sending`."""

    def __init__(
        self,
        database: Database,
        keys: LinkKeys,
        *,
        link_lifetime: timedelta,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._database = database
        self._keys = keys
        self._link_lifetime = link_lifetime
        self._clock = clock

    async def ask(self, address: EmailAddress, source: str) -> None:
        """Send a mail to whoever asked to be on the list: to confirm, or to say that they are on it.

        Which of the two is seen by nobody but the address's owner: the same statements run in the same order.

        Args:
            address: The address.
            source: Where it was asked for; kept with the consent.

        Raises:
            accounts.database.DatabaseAway: See there.
        """
        moment = self._clock()
        async with self._database.write() as session:
            found = await session.scalar(select(Subscription).where(Subscription.email_key == address.key))
            active = found is not None and found.consented_at is not None and found.unsubscribed_at is None
            queue_with_link(
                session,
                self._keys,
                kind=ALREADY_SUBSCRIBED if active else CONFIRM_SUBSCRIPTION,
                purpose=CONFIRM,
                # A subscriber's own spelling: what differs from it in case alone need not be theirs.
                recipient=found.email if found is not None and active else address.written,
                moment=moment,
                lifetime=self._link_lifetime,
                subscription_id=found.id if found is not None and active else None,
                data={"source": source},
            )

    async def look(self, secret: str) -> OpenConfirmation:
        """Say what a link would confirm; it can still be followed afterwards.

        Raises:
            accounts.links.LinkProblem: It cannot be followed.
            accounts.database.DatabaseAway: See there.
        """
        async with self._database.read() as session:
            link = await look_at_link(session, self._keys, secret, (CONFIRM,), self._clock())
        return OpenConfirmation(link.email or "", link.expires_at)

    async def confirm(self, secret: str) -> None:
        """Put the address on the list, with the moment and the source of its owner's consent.

        Raises:
            accounts.links.LinkProblem: The link cannot be followed.
            accounts.database.DatabaseAway: See there.
        """
        moment = self._clock()
        async with self._database.write() as session:
            link = await follow_link(session, self._keys, secret, (CONFIRM,), moment)
            address = EmailAddress.parse(link.email or "")
            await self._put_on(session, address, link.created_at, link.data["source"], moment)
            await session.execute(
                delete(Suppression)
                .where(
                    Suppression.address_digest.in_(self._keys.suppression_digests(address.key)),
                    Suppression.reason.in_(_LIFTED_BY_CONSENT),
                )
                .execution_options(synchronize_session=False)
            )

    async def _put_on(
        self,
        session: AsyncSession,
        address: EmailAddress,
        requested: datetime,
        source: str,
        moment: datetime,
    ) -> None:
        found = await find_or_add(
            session,
            select(Subscription).where(Subscription.email_key == address.key).with_for_update(),
            lambda: Subscription(email=address.written, email_key=address.key, consent_source=source),
        )
        if found.consented_at is not None and found.unsubscribed_at is None:
            # The first consent is the one that counts.
            return
        found.email, found.consent_source = address.written, source
        found.requested_at, found.consented_at, found.unsubscribed_at = requested, moment, None

    async def unsubscribe(self, token: str) -> None:
        """Take a subscriber off the list for good. Twice is as good as once, and after a deletion as before.

        Args:
            token: Out of a mail's unsubscribe link.

        Raises:
            accounts.links.LinkUnknown: It is not one of ours.
            accounts.database.DatabaseAway: See there.
        """
        subscription = self._keys.read_unsubscribe_token(token)
        moment = self._clock()
        async with self._database.write() as session:
            email_key = await session.scalar(
                update(Subscription)
                .where(Subscription.id == subscription, Subscription.unsubscribed_at.is_(None))
                .values(unsubscribed_at=moment)
                .returning(Subscription.email_key)
                .execution_options(synchronize_session=False)
            )
            if email_key is not None:
                await suppress(session, self._keys, email_key, "unsubscribed", moment)

    def check_unsubscribe(self, token: str) -> uuid.UUID:
        """Check an unsubscribe link without following it; says whose subscription it is.

        Raises:
            accounts.links.LinkUnknown: It is not one of ours.
        """
        return self._keys.read_unsubscribe_token(token)


async def suppress(
    session: AsyncSession, keys: LinkKeys, email_key: str, reason: str, moment: datetime
) -> None:
    """Remember an address, as a digest, as one not to be written to; a graver reason replaces a lighter one."""
    digest = keys.suppression_digest(email_key)
    found = await find_or_add(
        session,
        select(Suppression).where(Suppression.address_digest == digest).with_for_update(),
        lambda: Suppression(address_digest=digest, reason=reason, created_at=moment),
    )
    if found.reason in _LIFTED_BY_CONSENT:
        found.reason = reason
