"""Who did what, and when."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from accounts.tables.base import Base, Serial, UtcDateTime, now


class AuditEntry(Base):
    """One action of an operator, of an account, or of the service itself. It outlives the account that it names.

    Attributes:
        id: Counts up.
        at: When.
        actor_kind: `operator`, `account` or `service`.
        actor: The operator's login name, the account's id, or the part of the service.
        action: What was done, such as `token.revoke`.
        account_id: The account that it was done to, if any.
        token_id: The token that it was done to, if any.
        details: What else matters. Never a secret, never an address.
    """

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(60))
    account_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    token_id: Mapped[uuid.UUID | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
