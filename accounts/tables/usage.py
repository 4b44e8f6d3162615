"""What was used, day by day."""

import uuid
from datetime import date

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from accounts.tables.base import Base


class DailyUsage(Base):
    """What one token used on one day. It goes with the account.

    The keys are foreign: a row can only be written while its token exists.

    Attributes:
        token_id: Which token.
        day: The day, in UTC.
        account_id: Whose token it is, so that an account's figures need no join.
        requests: Requests that were let in.
        images: Pictures that were classified.
        refused: Requests that a limit refused.
        failed: Requests that were let in and failed by a fault of ours (5xx).
    """

    __tablename__ = "usage_daily"
    __table_args__ = (Index(None, "account_id", "day"),)

    token_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tokens.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    requests: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    images: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    refused: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    failed: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
