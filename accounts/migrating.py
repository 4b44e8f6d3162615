"""Bringing the database to the version that this code needs, one revision a transaction, by one process at a time."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from accounts.database import Database, away_when_unreachable

_SCRIPTS: Final = Path(__file__).with_name("migrations")
#: PostgreSQL's advisory locks are named by numbers; this one is ours ("svaccnts" as ASCII).
_LOCK: Final = int.from_bytes(b"svaccnts", "big")
_UP: Final = "python -m accounts migrate up"


class MigrationError(Exception):
    """The database is not at the version that is needed, or cannot be brought there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """Where a database stands.

    Attributes:
        current: Its revision; None where it is empty.
        head: The revision that this code needs.
        pending: The revisions that are missing, in order.
    """

    current: str | None
    head: str
    pending: tuple[str, ...]


def revisions() -> tuple[str, ...]:
    """Every revision there is, oldest first."""
    script = ScriptDirectory.from_config(_config())
    return tuple(reversed([one.revision for one in script.walk_revisions()]))


async def status(url: str, *, patience: float = 60.0) -> MigrationStatus:
    """Look where the database stands; changes nothing.

    Raises:
        accounts.database.DatabaseAway: It does not answer.
        MigrationError: It is at a revision that this code does not know.
    """
    database = Database(url, timeout=patience, migrating=True)
    try:
        with away_when_unreachable():
            if database.file is not None and not database.file.exists():
                return _status(None)
            async with database.engine.connect() as connection:
                return _status(await connection.run_sync(_current))
    finally:
        await database.close()


async def upgrade(url: str, to: str | None = None, *, patience: float = 60.0) -> MigrationStatus:
    """Bring the database up to a revision, by default the newest.

    Each revision is one transaction, with the note that it was reached: a process that is killed leaves the database
    at a whole revision, and the next `upgrade` goes on from there. Any number of processes may call this at once:
    they take turns, and each finds done what another did.

    Args:
        url: See `accounts.database_url.read_url`.
        to: A revision; None for the newest.
        patience: Seconds to wait for another process that migrates, and for each statement.

    Raises:
        accounts.database.DatabaseAway: It does not answer, or another process migrates for longer than that.
        MigrationError: It is at a revision that this code does not know, or `to` is no revision, or an older one.
    """
    target = _known(to) if to is not None else revisions()[-1]
    return await _walk(url, target, patience, up=True)


async def downgrade(url: str, to: str | None, *, patience: float = 60.0) -> MigrationStatus:
    """Take the database back to a revision, or with None to an empty one. What the newer tables held is lost.

    Raises:
        accounts.database.DatabaseAway: See `upgrade`.
        MigrationError: See `upgrade`.
    """
    return await _walk(url, _known(to) if to is not None else None, patience, up=False)


def require_head(found: MigrationStatus) -> None:
    """Refuse a database that is not at the version that this code needs.

    Raises:
        MigrationError: Revisions are missing.
    """
    if found.pending:
        where = f"stopped at revision {found.current}" if found.current else "has no tables yet"
        raise MigrationError(
            f"The accounts database {where}, and this version needs {found.head}: {len(found.pending)} to go. "
            f"Nothing is lost: each revision is done whole or not at all. Go on with `{_UP}`"
        )


async def _walk(url: str, target: str | None, patience: float, *, up: bool) -> MigrationStatus:
    database = Database(url, timeout=patience, migrating=True)
    try:
        if database.file is not None and up:
            with away_when_unreachable():
                # For nobody else to read: there are addresses in it.
                await asyncio.to_thread(database.file.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
        while True:
            with away_when_unreachable():
                async with database.exclusive() as connection:
                    if database.kind == "postgresql":
                        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                    done, reached = await connection.run_sync(_step, target, up)
            if done:
                return _status(reached)
    finally:
        await database.close()


def _step(connection: Connection, target: str | None, up: bool) -> tuple[bool, str | None]:
    """Take one step towards the target, in the transaction that the connection is in."""
    current = _current(connection)
    everything = revisions()
    here = 0 if current is None else everything.index(_known(current)) + 1
    there = 0 if target is None else everything.index(target) + 1
    if here == there:
        return True, current
    if (there > here) != up:
        raise MigrationError(
            f"The accounts database is at revision {current or 'none'}; to get to {target or 'none'} is "
            f"`python -m accounts migrate {'down' if up else 'up'}`"
        )
    config = _config()
    config.attributes["connection"] = connection
    if up:
        command.upgrade(config, everything[here])
    else:
        command.downgrade(config, everything[here - 2] if here > 1 else "base")
    if connection.dialect.name == "sqlite":
        # It was told not to look while tables are rebuilt.
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise MigrationError(
                f"The step from revision {current or 'none'} would leave {len(broken)} rows without what they refer "
                f"to, the first in {broken[0][0]}. It was not done"
            )
    return False, _current(connection)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known(revision: str) -> str:
    everything = revisions()
    if revision not in everything:
        raise MigrationError(
            f"There is no revision {revision} in this version, which knows {everything[0]} to {everything[-1]}. A "
            "database of a newer version needs that version, also to be taken back"
        )
    return revision


def _status(current: str | None) -> MigrationStatus:
    everything = revisions()
    done = 0 if current is None else everything.index(_known(current)) + 1
    return MigrationStatus(current, everything[-1], everything[done:])


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
