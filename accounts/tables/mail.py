"""Mails that wait to be sent, and the one-time links in them."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from accounts.tables.base import Base, UtcDateTime, now


class OutboxMail(Base):
    """A mail in the queue. It is written in the transaction that causes it, so neither is there without the other.

    It is put into words only when it is sent: a link in it lets its reader in, and the secret of that is nowhere in
    the database. It is made anew of the mail's id and the secret key (see `accounts.links`).

    Attributes:
        id: Random; also the left side of the mail's Message-ID.
        kind: Which mail it is, such as `account.confirm`.
        recipient: Where it goes.
        data: What its words need beside that; never a secret.
        account_id: The account that it is about, if any; it goes with the account.
        subscription_id: The subscription that it is about, if any; it goes with the subscription.
        list_message_id: The message to the mailing list that it carries, if any.
        state: `queued`, `sent`, `failed` (given up) or `dropped` (its reader wants no mail any more).
        attempts: How often sending was tried.
        next_attempt_at: Not to be tried before this moment; of one that has failed, when it was tried last.
        leased_until: Until when the replica that sends it has it to itself; None where nobody has.
        lease: Names the sender that has it.
        created_at: When it was written.
        sent_at: When the mail server took it.
        last_error: Why the last try failed, cut to 500 characters, without addresses.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index(None, "state", "next_attempt_at"),
        # Nobody gets the same message twice, however often sending it is begun.
        UniqueConstraint("list_message_id", "subscription_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    kind: Mapped[str] = mapped_column(String(40))
    recipient: Mapped[str] = mapped_column(String(320))
    data: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    account_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), index=True
    )
    subscription_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("subscriptions.id", ondelete="CASCADE"), index=True
    )
    list_message_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("list_messages.id", ondelete="CASCADE")
    )
    state: Mapped[str] = mapped_column(String(10), default="queued", server_default="queued")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(String(500))


class Link(Base):
    """A link that was mailed and works once. Only the digest of its secret is kept.

    Attributes:
        digest: HMAC-SHA-256 of the link's secret under the secret key, 32 bytes.
        purpose: What following it does, such as `account.confirm`.
        account_id: The account that it is for, if there is one already.
        subscription_id: The subscription that it is for, if any.
        email: The address that it was sent to.
        data: What else is needed when it is followed.
        created_at: When it was made.
        expires_at: From when on it is refused.
        used_at: When it was followed; None before. Set by an UPDATE that asks for NULL, so only one can follow it.
    """

    __tablename__ = "links"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(40))
    account_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), index=True
    )
    subscription_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("subscriptions.id", ondelete="CASCADE"), index=True
    )
    email: Mapped[str | None] = mapped_column(String(320))
    data: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
