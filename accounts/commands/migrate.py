"""`python -m accounts migrate …`: the only commands that work on a database of another version."""

from argparse import Namespace

from accounts import migrating
from accounts.commands.telling import CommandFailed, Printer
from accounts.migrating import MigrationStatus
from accounts.settings import CommandSettings

_EMPTY = "empty"


async def up(settings: CommandSettings, printer: Printer, arguments: Namespace) -> None:
    """Bring the database up to a revision."""
    _tell(printer, await migrating.upgrade(_url(settings), arguments.to))


async def down(settings: CommandSettings, printer: Printer, arguments: Namespace) -> None:
    """Take the database back to a revision."""
    if not arguments.yes:
        raise CommandFailed(
            f"What the tables of the newer revisions hold would be lost. Say --yes to go back to {arguments.to}."
        )
    to = None if arguments.to == _EMPTY else arguments.to
    _tell(printer, await migrating.downgrade(_url(settings), to))


async def status(settings: CommandSettings, printer: Printer, _: Namespace) -> None:
    """Tell where the database stands."""
    _tell(printer, await migrating.status(_url(settings)))


def _url(settings: CommandSettings) -> str:
    return settings.database_url.get_secret_value()


def _tell(printer: Printer, found: MigrationStatus) -> None:
    pending = f", to go: {' '.join(found.pending)}" if found.pending else ": as this version needs it"
    printer.row(
        {"current": found.current, "head": found.head, "pending": list(found.pending)},
        f"The database is at revision {found.current or _EMPTY} of {found.head}{pending}.",
    )
