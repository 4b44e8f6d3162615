"""Who is on the mailing list, and who must never be written to again."""

import uuid
from datetime import datetime

from sqlalchemy import LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from accounts.tables.base import Base, UtcDateTime, now


class Subscription(Base):
    """An address on the mailing list, or on its way there.

    Attributes:
        id: Random.
        email: The address as it was given.
        email_key: The address in the form in which two are compared; unique.
        requested_at: When it was first asked for.
        consented_at: When the link in the mail was followed; None before. Only then may it be written to.
        consent_source: Where it was asked for, such as `POST /mailing-list`.
        unsubscribed_at: When it left; None while it is on the list.
    """

    __tablename__ = "subscriptions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(String(320), unique=True)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    consented_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    consent_source: Mapped[str] = mapped_column(String(100))
    unsubscribed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Suppression(Base):
    """An address that must not be written to, kept as a digest so that it can outlive the address's deletion.

    Attributes:
        address_digest: HMAC-SHA-256 of the address's key under the secret key, 32 bytes.
        reason: `unsubscribed`, `deleted`, `bounced` or `complaint`.
        created_at: Since when.
    """

    __tablename__ = "suppressions"

    address_digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    reason: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class ListMessage(Base):
    """A message that was sent to the mailing list.

    Attributes:
        id: Random.
        digest: SHA-256 of the message, 32 bytes; unique, so that the same command run twice sends it once. Of one
            that is meant to be sent again, with its id.
        subject: Its subject.
        text: Its words, in Markdown.
        created_at: When it was given to be sent.
        completed_at: When all of its mails were in the queue; None where that goes on, or was broken off.
    """

    __tablename__ = "list_messages"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    subject: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
