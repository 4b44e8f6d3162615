"""`python -m accounts audit`."""

from argparse import Namespace

from accounts.audit import entries
from accounts.commands.context import Context
from accounts.commands.telling import audit_row


async def show(context: Context, arguments: Namespace) -> None:
    """Print the newest entries of the audit log, newest first."""
    async with context.accounts.database.read() as session:
        account = None
        if arguments.account is not None:
            account = await context.find_account(session, arguments.account)
        found = await entries(session, account_id=account, newest=arguments.newest)
    context.printer.rows([audit_row(entry) for entry in found], "The audit log has no entries.")
