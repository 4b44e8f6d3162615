"""`python -m accounts list …`."""

import asyncio
import csv
import sys
from argparse import Namespace
from pathlib import Path

from sqlalchemy import select, update

from accounts.addresses import EmailAddress
from accounts.audit import record
from accounts.commands.context import Context
from accounts.commands.telling import CommandFailed
from accounts.list_sending import AlreadySent, Message, count_readers, list_figures, readers, send_to_list
from accounts.mailing_list import suppress
from accounts.tables.base import now
from accounts.tables.mailing_list import Subscription

_COLUMNS = ("email", "requested_at", "consented_at", "consent_source", "unsubscribed_at")


async def show(context: Context, _: Namespace) -> None:
    """Print figures."""
    figures = await list_figures(context.accounts.database)
    context.printer.row(figures, "\n".join(f"{name}: {number}" for name, number in figures.items()))


async def export(context: Context, arguments: Namespace) -> None:
    """Print those who may be written to, or all subscriptions, as CSV."""
    rows = await (_all(context) if arguments.all else _readers(context))
    async with context.accounts.database.write() as session:
        record(session, context.actor, "list.export", rows=len(rows), everybody=arguments.all)
    if context.printer.as_json:
        context.printer.document([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows)


async def send(context: Context, arguments: Namespace) -> None:
    """Queue a message to the list."""
    message = await asyncio.to_thread(read_message, arguments.file, arguments.subject)
    database, keys = context.accounts.database, context.accounts.link_keys
    if arguments.dry_run:
        number = await count_readers(database, keys)
        words = f'"{message.subject}" would go to {number} readers. Nothing was queued.'
        context.printer.row({"subject": message.subject, "readers": number}, words)
        return
    try:
        queued = await send_to_list(database, keys, context.actor, message, again=arguments.again)
    except AlreadySent as error:
        raise CommandFailed(f"{error} With --again it goes to everybody once more.") from error
    went_on = " It went on where an earlier run was broken off." if queued.resumed else ""
    context.printer.row(
        {"id": queued.id, "mails": queued.mails, "resumed": queued.resumed},
        f"{queued.mails} mails are queued; the gateway sends them.{went_on} `python -m accounts mail status` tells "
        "how far it is.",
    )


async def remove(context: Context, arguments: Namespace) -> None:
    """Take an address off the list and keep it off."""
    address = EmailAddress.parse(arguments.email)
    moment = now()
    async with context.accounts.database.write() as session:
        await session.execute(
            update(Subscription)
            .where(Subscription.email_key == address.key, Subscription.unsubscribed_at.is_(None))
            .values(unsubscribed_at=moment)
            .execution_options(synchronize_session=False)
        )
        await suppress(session, context.accounts.link_keys, address.key, arguments.reason, moment)
        record(session, context.actor, "list.remove", reason=arguments.reason)
    context.printer.row({"reason": arguments.reason}, "The address is off the list, and is kept off it.")


def read_message(file: Path, subject: str | None) -> Message:
    """Read a message from a file of Markdown.

    Args:
        file: Where it is.
        subject: Its subject; without one, the file's first line is it, as a heading: `# News of March`.

    Raises:
        CommandFailed: There is no such file, or it has neither.
        accounts.list_sending.UnfitMessage: It cannot be sent.
    """
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"The message cannot be read: {error}") from error
    if subject is not None:
        return Message(subject, text)
    first, _, rest = text.lstrip().partition("\n")
    if not first.startswith("# "):
        raise CommandFailed(
            'The message has no subject. Begin it with a heading, as in "# News of March", or name one by --subject.'
        )
    return Message(first.removeprefix("# ").strip(), rest)


async def _readers(context: Context) -> list[list[object]]:
    return [_row(one) async for one in readers(context.accounts.database, context.accounts.link_keys)]


async def _all(context: Context) -> list[list[object]]:
    async with context.accounts.database.read() as session:
        found = await session.scalars(select(Subscription).order_by(Subscription.requested_at))
        return [_row(one) for one in found]


def _row(subscription: Subscription) -> list[object]:
    moments = (subscription.requested_at, subscription.consented_at, subscription.unsubscribed_at)
    requested, consented, left = (
        None if moment is None else moment.isoformat(timespec="seconds") for moment in moments
    )
    return [subscription.email, requested, consented, subscription.consent_source, left]
