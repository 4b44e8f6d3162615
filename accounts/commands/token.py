"""`python -m accounts token …`."""

from argparse import Namespace
from datetime import timedelta

from sqlalchemy import select

from accounts.commands.context import Context, read_id
from accounts.commands.telling import token_row
from accounts.tables import Token
from accounts.tables.base import now
from accounts.tokens.making import list_tokens, make_token, revoke_token, rotate_token


async def make(context: Context, arguments: Namespace) -> None:
    """Make a token, and print it this once."""
    expires_at = None if arguments.days is None else now() + timedelta(days=arguments.days)
    async with context.accounts.database.write() as session:
        new = await make_token(
            session,
            context.accounts.keys,
            await context.find_account(session, arguments.account),
            context.actor,
            name=arguments.name,
            scopes=arguments.scope,
            expires_at=expires_at,
            plan=arguments.plan,
        )
    context.printer.new_token(new)


async def show_all(context: Context, arguments: Namespace) -> None:
    """List the tokens of an account, or all."""
    async with context.accounts.database.read() as session:
        if arguments.account is None:
            tokens = (await session.scalars(select(Token).order_by(Token.created_at, Token.id))).all()
        else:
            tokens = await list_tokens(session, await context.find_account(session, arguments.account))
    context.printer.rows([token_row(token) for token in tokens], "There are no tokens.")


async def rotate(context: Context, arguments: Namespace) -> None:
    """Put a new token in the place of one, and print it this once."""
    async with context.accounts.database.write() as session:
        new = await rotate_token(
            session,
            context.accounts.keys,
            read_id(arguments.token, "token"),
            context.actor,
            grace=timedelta(minutes=arguments.grace_minutes),
        )
    await context.accounts.news.tell(read_id(arguments.token, "token"))
    context.printer.new_token(new)


async def revoke(context: Context, arguments: Namespace) -> None:
    """Take a token back for good."""
    async with context.accounts.database.write() as session:
        token, changed = await revoke_token(session, read_id(arguments.token, "token"), context.actor)
    if changed:
        await context.accounts.news.tell(token.id)
    context.printer.row(token_row(token), f"Token {token.id} is revoked.")
