"""Accounts and their tokens."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from accounts.tables.base import Base, UtcDateTime, Words, now


class Account(Base):
    """Somebody who may hold tokens.

    Attributes:
        id: Random.
        email: The address as it was given, or None for an account that an operator made without one.
        email_key: The address in the form in which two are compared (see `accounts.addresses`); unique.
        name: An operator's label; empty where there is none.
        plan: Name of the plan; None for the default plan.
        created_at: When it was made.
        confirmed_at: When its address was confirmed, or the account was made by an operator; None before.
        disabled_at: Since when its tokens are refused, by an operator's order; None where they are not.
    """

    __tablename__ = "accounts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    email: Mapped[str | None] = mapped_column(String(320))
    email_key: Mapped[str | None] = mapped_column(String(320), unique=True)
    name: Mapped[str] = mapped_column(String(100), default="", server_default="")
    plan: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Token(Base):
    """A bearer token, of which only the keyed digest is kept.

    Attributes:
        id: Random; names the token in lists, limits and logs, where the token itself must not appear.
        account_id: Whose it is.
        name: What its owner calls it.
        digest: HMAC-SHA-256 of the token under the secret key, 32 bytes.
        hint: The token's last four characters, so that its owner knows it again.
        scopes: What it may be used for, see `accounts.scopes`.
        plan: Name of a plan of its own; None for the account's.
        created_at: When it was made.
        expires_at: From when on it is refused; None for never.
        last_used_at: When it was last used, to within the delay with which that is written; None for never.
        revoked_at: Since when it is refused; None where it is not.
    """

    __tablename__ = "tokens"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    hint: Mapped[str] = mapped_column(String(4))
    scopes: Mapped[tuple[str, ...]] = mapped_column(Words)
    plan: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
