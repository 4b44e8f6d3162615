"""The command line: its words, and how a command is run."""

import argparse
import asyncio
import logging
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from accounts.addresses import InvalidAddress
from accounts.audit import Actor
from accounts.commands import account, audit, migrate, token
from accounts.commands.context import Command, Context
from accounts.commands.mail_words import add_list_words, add_mail_words
from accounts.commands.telling import CommandFailed, Printer
from accounts.database import DatabaseAway
from accounts.holders import AddressTaken
from accounts.list_sending import UnfitMessage
from accounts.migrating import MigrationError
from accounts.opening import open_accounts, operator_name
from accounts.plans import PlansFileError, load_plans
from accounts.settings import CommandSettings
from accounts.tokens.making import TokenProblem, UnknownAccount, UnknownToken
from accounts.tokens.scopes import DEFAULT_SCOPES, Scope

_ACCOUNT: Final = "its id or its e-mail address"
#: What can go wrong without it being a fault of ours.
_EXPECTED: Final = (
    AddressTaken,
    CommandFailed,
    DatabaseAway,
    InvalidAddress,
    MigrationError,
    PlansFileError,
    TokenProblem,
    UnfitMessage,
    UnknownAccount,
    UnknownToken,
)


def parser() -> ArgumentParser:
    """The words that are understood."""
    top = ArgumentParser(
        prog="python -m accounts",
        description="Accounts and tokens of the gateway. Settings come from the environment, as the gateway's: "
        "SPORTVISION_DATABASE_URL, SPORTVISION_SECRET_KEY, SPORTVISION_REDIS_URL, SPORTVISION_ENVIRONMENT.",
    )
    top.add_argument("--json", action="store_true", help="answer in JSON")
    subjects = top.add_subparsers(required=True, metavar="what")

    first = _add(
        subjects, "bootstrap", account.bootstrap, "make an account and its first token, for everything"
    )
    _add_account_words(first)

    of_account = _subject(subjects, "account", "make, list, change and delete accounts")
    _add_account_words(_add(of_account, "create", account.make, "make an account, confirmed"))
    _add(of_account, "list", account.show_all, "list all")
    for name, command, text in (
        ("disable", account.disable, "refuse all its tokens"),
        ("enable", account.enable, "take its tokens again"),
        ("delete", account.delete, "delete it with all that is kept of it"),
        ("export", account.export, "print all that is kept of it, as JSON"),
    ):
        _add(of_account, name, command, text).add_argument("account", help=_ACCOUNT)
    plan = _add(of_account, "plan", account.change_plan, "change its plan")
    plan.add_argument("account", help=_ACCOUNT)
    plan.add_argument("plan", nargs="?", help="a plan's name; without it, the default plan")

    of_token = _subject(subjects, "token", "make, list, rotate and revoke tokens")
    make = _add(of_token, "create", token.make, "make one, and print it this once")
    make.add_argument("account", help=_ACCOUNT)
    make.add_argument("--name", required=True, help="what its owner calls it")
    make.add_argument(
        "--scope",
        nargs="+",
        choices=[str(scope) for scope in Scope],
        default=sorted(DEFAULT_SCOPES),
        help=f"what it may be used for (default: {' '.join(sorted(DEFAULT_SCOPES))})",
    )
    make.add_argument("--days", type=_days, help="how long it lives (default: for ever)")
    make.add_argument("--plan", help="a plan of its own (default: the account's)")
    show = _add(of_token, "list", token.show_all, "list those of an account, or all")
    show.add_argument("account", nargs="?", help=_ACCOUNT)
    rotate = _add(of_token, "rotate", token.rotate, "put a new one in its place, and print that this once")
    rotate.add_argument("token", help="its id")
    rotate.add_argument(
        "--grace-minutes",
        type=float,
        default=60.0,
        help="how long the old one goes on (default: %(default)g)",
    )
    _add(of_token, "revoke", token.revoke, "take it back for good").add_argument("token", help="its id")

    log = _add(subjects, "audit", audit.show, "who did what, newest first")
    log.add_argument("--account", help=_ACCOUNT)
    log.add_argument("--newest", type=int, default=50, help="how many entries (default: %(default)s)")

    add_list_words(
        partial(_add, _subject(subjects, "list", "the mailing list: its readers, and messages to them"))
    )
    add_mail_words(partial(_add, _subject(subjects, "mail", "mails that wait to be sent, or were given up")))

    of_migrations = _subject(subjects, "migrate", "bring the database to a version")
    up = _subject_command(of_migrations, "up", "bring it to this version's tables, or to a revision")
    up.add_argument("to", nargs="?", help="a revision (default: the newest)")
    up.set_defaults(migrate=migrate.up)
    down = _subject_command(of_migrations, "down", "take it back; what newer tables hold is lost")
    down.add_argument("to", help='a revision, or "empty"')
    down.add_argument("--yes", action="store_true", help="it may be lost")
    down.set_defaults(migrate=migrate.down)
    _subject_command(of_migrations, "status", "tell where it stands").set_defaults(migrate=migrate.status)
    return top


def main(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        The exit code: 0, or 1 where it failed; 2 where it or a setting is wrong.
    """
    asked = parser().parse_args(arguments)
    logging.basicConfig(level="WARNING", format="%(message)s", stream=sys.stderr)
    try:
        settings = CommandSettings()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = "".join(f"SPORTVISION_{str(part).upper()}: " for part in problem["loc"][:1])
            _complain(name + problem["msg"].removeprefix("Value error, "))
        return 2
    try:
        asyncio.run(_run(settings, asked))
    except _EXPECTED as error:
        _complain(str(error))
        return 1
    except BrokenPipeError:
        # Whoever read has seen enough. Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


async def _run(settings: CommandSettings, asked: Namespace) -> None:
    printer = Printer(as_json=asked.json)
    if "migrate" in asked:
        await asked.migrate(settings, printer, asked)
        return
    if getattr(asked, "plan", None) is not None:
        _require_plan(asked.plan, settings.plans_file)
    command: Command = asked.command
    async with open_accounts(settings) as accounts:
        await command(Context(accounts, Actor.operator(operator_name()), printer), asked)


def _require_plan(name: str, file: Path | None) -> None:
    plans = load_plans(file).plans
    if name not in plans:
        source = "this version's own" if file is None else f"those of {file}"
        raise CommandFailed(
            f'There is no plan "{name}"; {source} are {", ".join(plans)}. Where the gateway has others, give this '
            "command its SPORTVISION_PLANS_FILE too."
        )


def _complain(text: str) -> None:
    print(text, file=sys.stderr)


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= 36_500:
        raise argparse.ArgumentTypeError("it must be a number of days above 0, and 36,500 at most")
    return days


def _add_account_words(command: ArgumentParser) -> None:
    command.add_argument("--email", help="its address (default: none); no mail is sent")
    command.add_argument("--name", default="", help="a label for operators")
    command.add_argument("--plan", help="a plan's name (default: the default plan)")


def _subject(
    subjects: "argparse._SubParsersAction[ArgumentParser]", name: str, text: str
) -> "argparse._SubParsersAction[ArgumentParser]":
    return _subject_command(subjects, name, text).add_subparsers(required=True, metavar="do")


def _subject_command(
    subjects: "argparse._SubParsersAction[ArgumentParser]", name: str, text: str
) -> ArgumentParser:
    return subjects.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")


def _add(
    subjects: "argparse._SubParsersAction[ArgumentParser]", name: str, command: Command, text: str
) -> ArgumentParser:
    made = _subject_command(subjects, name, text)
    made.set_defaults(command=command)
    return made
