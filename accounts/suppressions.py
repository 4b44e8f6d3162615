"""Looking up who must not be written to."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.links import LinkKeys
from accounts.tables.mailing_list import Suppression

#: Why an address must get no mail of any kind, as opposed to nothing from the list.
UNREACHABLE: Final = frozenset({"bounced", "complaint"})


async def find_suppression(session: AsyncSession, keys: LinkKeys, email_key: str) -> Suppression | None:
    """Why an address must not be written to; None where it may be.

    While the secret key is changed there can be two, one under each key. The graver one counts.
    """
    digests = keys.suppression_digests(email_key)
    found = await session.scalars(
        select(Suppression)
        .where(Suppression.address_digest.in_(digests))
        .order_by(Suppression.created_at, Suppression.address_digest)
    )
    return max(found, key=lambda one: one.reason in UNREACHABLE, default=None)
