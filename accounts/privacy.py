"""What somebody may ask for about themselves: all that is kept of them, and that nothing is any more."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.audit import Actor, record
from accounts.database import Database
from accounts.holders import delete_account, export_account, get_account, mailed_to
from accounts.links import LinkKeys
from accounts.mailing_list import suppress
from accounts.suppressions import find_suppression
from accounts.tables.mail import Link, OutboxMail
from accounts.tables.mailing_list import Subscription


async def export_everything(
    database: Database, keys: LinkKeys, account_id: uuid.UUID, actor: Actor
) -> dict[str, Any]:
    """Collect all that is kept of an account and its address, in a form that JSON can hold. That it was is recorded.

    It is read without a lock: others go on writing meanwhile, however much there is.

    Raises:
        accounts.tokens.making.UnknownAccount: There is none.
        accounts.database.DatabaseAway: See there.
    """
    async with database.read() as session:
        export = await export_account(session, account_id)
        email_key = (await get_account(session, account_id)).email_key
        suppression = None if email_key is None else await find_suppression(session, keys, email_key)
    async with database.write() as session:
        record(session, actor, "account.export", account_id=account_id)
    export["suppression"] = (
        None
        if suppression is None
        else {"reason": suppression.reason, "created_at": suppression.created_at.isoformat()}
    )
    return export


async def erase(
    session: AsyncSession, keys: LinkKeys, account_id: uuid.UUID, actor: Actor, moment: datetime
) -> None:
    """Delete an account, and all else that is kept of its address.

    With the account go its tokens, its usage and its links; with the address its place on the mailing list, and mails
    and links that wait for it. What stays is the audit log, which names the account by its id alone, and where it was
    on the list a digest of the address, so that no old copy of the list can be used to write to it again.

    The change must be made known (`accounts.tokens.news`).

    Raises:
        accounts.tokens.making.UnknownAccount: There is none.
    """
    email_key = (await get_account(session, account_id)).email_key
    await delete_account(session, account_id, actor)
    if email_key is not None:
        await forget_address(session, keys, email_key, moment)


async def forget_address(session: AsyncSession, keys: LinkKeys, email_key: str, moment: datetime) -> None:
    """Remove an address from the mailing list, the outbox and the links; where it was on the list, suppress it."""
    subscription = await session.scalar(
        delete(Subscription)
        .where(Subscription.email_key == email_key)
        .returning(Subscription.id)
        .execution_options(synchronize_session=False)
    )
    if subscription is not None:
        await suppress(session, keys, email_key, "deleted", moment)
    for table, column in ((Link, Link.email), (OutboxMail, OutboxMail.recipient)):
        await session.execute(
            delete(table).where(mailed_to(column, email_key)).execution_options(synchronize_session=False)
        )
