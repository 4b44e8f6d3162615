"""Accounts: made, found, changed, exported and deleted, in a transaction of the caller's."""

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, inspect, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from accounts.addresses import EmailAddress
from accounts.audit import Actor, entries, record
from accounts.tables import Account, AuditEntry, Base, DailyUsage, Link, OutboxMail, Subscription
from accounts.tables.base import now
from accounts.tokens.making import UnknownAccount, list_tokens

#: Columns that no export shows: they are of use to nobody but the service, or to somebody who wants in.
_KEPT_BACK: Final = {"digest", "lease", "leased_until", "email_key"}
#: So many entries of the audit log an export shows: an account can cause as many as it likes.
_AUDIT_ENTRIES: Final = 1_000

MailedTo = InstrumentedAttribute[str] | InstrumentedAttribute[str | None]


class AddressTaken(ValueError):
    """Another account has this address. For operators only: nobody else may learn that."""


async def make_account(
    session: AsyncSession,
    actor: Actor,
    *,
    email: EmailAddress | None = None,
    name: str = "",
    plan: str | None = None,
    confirmed: bool = True,
) -> Account:
    """Make an account.

    Args:
        session: A writing session.
        actor: Who makes it.
        email: Its address; None for an account that an operator makes for a program or a colleague.
        name: An operator's label, at most 100 characters.
        plan: Name of its plan; None for the default.
        confirmed: Whether it can be used at once. An operator vouches for the address; all others prove it.

    Raises:
        AddressTaken: Another account has the address.
    """
    if email is not None and await find_by_email(session, email) is not None:
        raise AddressTaken("An account with this address is there already.")
    account = Account(
        id=uuid.uuid4(),
        email=None if email is None else email.written,
        email_key=None if email is None else email.key,
        name=name[:100],
        plan=plan,
        confirmed_at=now() if confirmed else None,
    )
    session.add(account)
    await session.flush()
    record(session, actor, "account.make", account_id=account.id, confirmed=confirmed)
    return account


async def find_by_email(session: AsyncSession, email: EmailAddress) -> Account | None:
    """The account with this address, confirmed or not."""
    return await session.scalar(select(Account).where(Account.email_key == email.key))


async def list_accounts(session: AsyncSession) -> Sequence[Account]:
    """All accounts, oldest first."""
    return (await session.scalars(select(Account).order_by(Account.created_at, Account.id))).all()


async def get_account(session: AsyncSession, account_id: uuid.UUID) -> Account:
    """The account of an id.

    Raises:
        UnknownAccount: There is none.
    """
    account = await session.get(Account, account_id)
    if account is None:
        raise UnknownAccount("There is no account of that id.")
    return account


async def set_disabled(
    session: AsyncSession, account_id: uuid.UUID, actor: Actor, *, disabled: bool
) -> Account:
    """Refuse all tokens of an account, or take them again. The change must be made known (`accounts.tokens.news`).

    Raises:
        UnknownAccount: There is none.
    """
    account = await get_account(session, account_id)
    if (account.disabled_at is not None) != disabled:
        account.disabled_at = now() if disabled else None
        record(session, actor, "account.disable" if disabled else "account.enable", account_id=account_id)
    return account


async def set_plan(session: AsyncSession, account_id: uuid.UUID, actor: Actor, plan: str | None) -> Account:
    """Change an account's plan; None for the default. The change must be made known (`accounts.tokens.news`).

    Raises:
        UnknownAccount: There is none.
    """
    account = await get_account(session, account_id)
    record(session, actor, "account.plan", account_id=account_id, before=account.plan, after=plan)
    account.plan = plan
    return account


async def delete_account(session: AsyncSession, account_id: uuid.UUID, actor: Actor) -> None:
    """Delete an account with its tokens, its usage, its links and its mails.

    What stays is the audit log, which names it by its id alone; and a subscription to the mailing list, which was a
    consent of its own, with a link in each mail to end it. The change must be made known (`accounts.tokens.news`).

    Raises:
        UnknownAccount: There is none.
    """
    account = await get_account(session, account_id)
    record(session, actor, "account.delete", account_id=account_id)
    await session.delete(account)


async def export_account(session: AsyncSession, account_id: uuid.UUID) -> dict[str, Any]:
    """All that is kept of an account and its address, in a form that JSON can hold; of a long audit log, the newest.

    Raises:
        UnknownAccount: There is none.
    """
    account = await get_account(session, account_id)
    usage = select(DailyUsage).where(DailyUsage.account_id == account_id).order_by(DailyUsage.day)
    subscriptions: Sequence[Subscription] = ()
    if account.email_key is not None:
        found = select(Subscription).where(Subscription.email_key == account.email_key)
        subscriptions = (await session.scalars(found)).all()

    def mine(table: type[OutboxMail | Link], address: MailedTo) -> ColumnElement[bool]:
        # What a deletion of the account removes, and one of its address.
        ids = [one.id for one in subscriptions]
        own = or_(table.account_id == account_id, table.subscription_id.in_(ids))
        return own if account.email_key is None else or_(own, mailed_to(address, account.email_key))

    mails = select(OutboxMail).where(mine(OutboxMail, OutboxMail.recipient)).order_by(OutboxMail.created_at)
    links = select(Link).where(mine(Link, Link.email)).order_by(Link.created_at)
    audit = select(func.count()).where(AuditEntry.account_id == account_id)
    newest = await entries(session, account_id=account_id, newest=_AUDIT_ENTRIES)
    return {
        "account": _plain(account),
        "tokens": [_plain(token) for token in await list_tokens(session, account_id)],
        "usage": [_plain(day) for day in await session.scalars(usage)],
        "mails": [_plain(mail) for mail in await session.scalars(mails)],
        "links": [_plain(link) for link in await session.scalars(links)],
        "subscriptions": [_plain(one) for one in subscriptions],
        "audit_log": [_plain(entry) for entry in reversed(newest)],
        "audit_log_entries": await session.scalar(audit) or 0,
    }


def mailed_to(address: MailedTo, email_key: str) -> ColumnElement[bool]:
    """Whether a mail or a link went to an address, however it was spelled.

    As it was written, it may differ from the key in case. SQLite knows no case beyond ASCII; what it misses is gone
    when links and mails are cleared away, days later.
    """
    return or_(address == email_key, func.lower(address) == email_key)


def _plain(row: Base) -> dict[str, Any]:
    return {
        column.key: _plain_value(getattr(row, column.key))
        for column in inspect(type(row)).column_attrs
        if column.key not in _KEPT_BACK
    }


def _plain_value(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return value
