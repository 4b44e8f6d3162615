"""`python -m accounts account …` and `bootstrap`."""

from argparse import Namespace

from accounts.addresses import EmailAddress
from accounts.commands.context import Context
from accounts.commands.telling import account_row
from accounts.holders import list_accounts, make_account, set_disabled, set_plan
from accounts.privacy import erase, export_everything
from accounts.tables.base import now
from accounts.tokens.making import make_token
from accounts.tokens.scopes import ALL_SCOPES


async def bootstrap(context: Context, arguments: Namespace) -> None:
    """Make an account and its first token, without any mail."""
    async with context.accounts.database.write() as session:
        account = await make_account(
            session, context.actor, email=_address(arguments), name=arguments.name, plan=arguments.plan
        )
        new = await make_token(
            session, context.accounts.keys, account.id, context.actor, name="first token", scopes=ALL_SCOPES
        )
    context.printer.new_token(new)


async def make(context: Context, arguments: Namespace) -> None:
    """Make an account."""
    async with context.accounts.database.write() as session:
        account = await make_account(
            session, context.actor, email=_address(arguments), name=arguments.name, plan=arguments.plan
        )
    context.printer.row(account_row(account), f"Account {account.id} is made.")


async def show_all(context: Context, _: Namespace) -> None:
    """List the accounts."""
    async with context.accounts.database.read() as session:
        rows = [account_row(account) for account in await list_accounts(session)]
    context.printer.rows(rows, "There are no accounts.")


async def disable(context: Context, arguments: Namespace) -> None:
    """Refuse all tokens of an account."""
    await _set_disabled(context, arguments, disabled=True)


async def enable(context: Context, arguments: Namespace) -> None:
    """Take the tokens of an account again."""
    await _set_disabled(context, arguments, disabled=False)


async def _set_disabled(context: Context, arguments: Namespace, *, disabled: bool) -> None:
    async with context.accounts.database.write() as session:
        found = await context.find_account(session, arguments.account)
        account = await set_disabled(session, found, context.actor, disabled=disabled)
    await context.accounts.news.tell(account.id)
    state = "disabled: its tokens are refused." if disabled else "enabled: its tokens are good again."
    context.printer.row(account_row(account), f"Account {account.id} is {state}")


async def change_plan(context: Context, arguments: Namespace) -> None:
    """Change the plan of an account."""
    async with context.accounts.database.write() as session:
        found = await context.find_account(session, arguments.account)
        account = await set_plan(session, found, context.actor, arguments.plan)
    await context.accounts.news.tell(account.id)
    plan = f'plan "{account.plan}"' if account.plan else "default plan"
    context.printer.row(account_row(account), f"Account {account.id} has the {plan}.")


async def delete(context: Context, arguments: Namespace) -> None:
    """Delete an account with all that is kept of it."""
    async with context.accounts.database.write() as session:
        found = await context.find_account(session, arguments.account)
        await erase(session, context.accounts.link_keys, found, context.actor, now())
    await context.accounts.news.tell(found)
    context.printer.row(
        {"id": found, "deleted": True}, f"Account {found} is deleted, with its tokens and usage."
    )


async def export(context: Context, arguments: Namespace) -> None:
    """Print all that is kept of an account, as JSON."""
    database = context.accounts.database
    async with database.read() as session:
        found = await context.find_account(session, arguments.account)
    content = await export_everything(database, context.accounts.link_keys, found, context.actor)
    context.printer.document(content)


def _address(arguments: Namespace) -> EmailAddress | None:
    return None if arguments.email is None else EmailAddress.parse(arguments.email)
