"""Putting mails with one-time links into the outbox, in the transaction of what they are about."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from accounts.links import LinkKeys
from accounts.tables.mail import Link, OutboxMail


def queue_with_link(
    session: AsyncSession,
    keys: LinkKeys,
    *,
    kind: str,
    purpose: str,
    recipient: str,
    moment: datetime,
    lifetime: timedelta,
    account_id: uuid.UUID | None = None,
    subscription_id: uuid.UUID | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    """Queue a mail and make the link that it will hold; both are there once the session is committed.

    Args:
        session: A session that writes.
        keys: Make the link's secret.
        kind: Which mail, see `accounts.mail.clerk`.
        purpose: What following the link does.
        recipient: Where the mail goes.
        moment: Now.
        lifetime: How long the link can be followed.
        account_id: The account that both are about, and go with.
        subscription_id: The subscription that the mail is about, and goes with.
        data: What is needed when the link is followed.
    """
    expires = moment + lifetime
    # Made here, not by the database, since the link's secret is made of it.
    mail_id = uuid.uuid4()
    session.add(
        OutboxMail(
            id=mail_id,
            kind=kind,
            recipient=recipient,
            data={"expires_at": expires.isoformat()},
            account_id=account_id,
            subscription_id=subscription_id,
            next_attempt_at=moment,
            created_at=moment,
        )
    )
    session.add(
        Link(
            digest=keys.digest(keys.secret_of(mail_id)),
            purpose=purpose,
            account_id=account_id,
            email=recipient,
            data=data or {},
            created_at=moment,
            expires_at=expires,
        )
    )
