"""Writing down who did what, in the transaction in which it is done."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.tables import AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    Attributes:
        kind: `operator`, `account` or `service`.
        name: The operator's login name, the account's id, or the part of the service.
    """

    kind: str
    name: str

    @classmethod
    def operator(cls, name: str) -> Self:
        """Somebody at the command line."""
        return cls("operator", name[:100])

    @classmethod
    def account(cls, account_id: uuid.UUID) -> Self:
        """The holder of an account, by a token or a mailed link."""
        return cls("account", str(account_id))

    @classmethod
    def service(cls, part: str) -> Self:
        """The service itself, such as its clearing up."""
        return cls("service", part)


def record(
    session: AsyncSession,
    actor: Actor,
    action: str,
    *,
    account_id: uuid.UUID | None = None,
    token_id: uuid.UUID | None = None,
    **details: object,
) -> None:
    """Write an entry; it is there if and only if the session's transaction is.

    Args:
        session: The transaction that does what is recorded.
        actor: Who does it.
        action: What, such as `token.revoke`: the kind of thing, a dot, and a verb.
        account_id: The account that it is done to.
        token_id: The token that it is done to.
        details: What else matters, as JSON can hold it. Never a secret, never an address: entries outlive accounts.
    """
    session.add(
        AuditEntry(
            actor_kind=actor.kind,
            actor=actor.name,
            action=action,
            account_id=account_id,
            token_id=token_id,
            details=details,
        )
    )


async def entries(
    session: AsyncSession, *, account_id: uuid.UUID | None = None, newest: int = 100
) -> Sequence[AuditEntry]:
    """Read the newest entries, newest first; of one account where it is given."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(newest)
    if account_id is not None:
        query = query.where(AuditEntry.account_id == account_id)
    return (await session.scalars(query)).all()
