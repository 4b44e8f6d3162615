"""`python -m accounts mail …`."""

from argparse import Namespace

from accounts.audit import record
from accounts.commands.context import Context
from accounts.mail.outbox import Outbox


async def show(context: Context, _: Namespace) -> None:
    """Print how many mails are in which state."""
    counts = await Outbox(context.accounts.database).counts()
    words = "\n".join(f"{state}: {number}" for state, number in counts.items()) or "There are no mails."
    context.printer.row(counts, words)


async def retry(context: Context, _: Namespace) -> None:
    """Queue again what was given up."""
    number = await Outbox(context.accounts.database).retry_failed()
    async with context.accounts.database.write() as session:
        record(session, context.actor, "mail.retry", mails=number)
    context.printer.row({"queued": number}, f"{number} mails are queued again.")
