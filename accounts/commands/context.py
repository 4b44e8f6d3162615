"""What every command has at hand: the settings, the open accounts, and who is at the keyboard."""

import uuid
from argparse import Namespace
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

from accounts.addresses import EmailAddress
from accounts.audit import Actor
from accounts.commands.telling import CommandFailed, Printer
from accounts.holders import find_by_email
from accounts.opening import Accounts
from accounts.tokens.making import UnknownAccount


@dataclass(frozen=True, slots=True)
class Context:
    """What every command has at hand.

    Attributes:
        accounts: The open accounts.
        actor: The operator.
        printer: Where the answer goes.
    """

    accounts: Accounts
    actor: Actor
    printer: Printer

    async def find_account(self, session: AsyncSession, named: str) -> uuid.UUID:
        """The id of an account that is named by its id or its address.

        Raises:
            CommandFailed: It is named by neither.
            UnknownAccount: No account has this address.
        """
        if "@" not in named:
            return read_id(named, "account")
        account = await find_by_email(session, EmailAddress.parse(named))
        if account is None:
            raise UnknownAccount("There is no account with this address.")
        return account.id


Command: TypeAlias = Callable[[Context, Namespace], Awaitable[None]]


def read_id(text: str, what: str) -> uuid.UUID:
    """Read an id.

    Raises:
        CommandFailed: It is none.
    """
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise CommandFailed(
            f'"{text}" is no id of an existing {what}: `python -m accounts {what} list` tells them.'
        ) from error
