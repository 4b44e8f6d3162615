"""The database: SQLite in one file, or PostgreSQL, by one URL; sessions for reading and for writing."""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiosqlite
import asyncpg
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from accounts.database_url import read_url, trusts_system

#: Under this name an execution option tells how a transaction on SQLite begins.
_BEGIN: Final = "accounts_sqlite_begin"


class DatabaseAway(Exception):
    """The database cannot be reached or cannot answer just now. Worth another try later."""


class Database:
    """An engine with its pool, opened lazily and closed by `close`.

    Every session is one transaction: it is committed when its block ends, and rolled back when the block raises.

    Attributes:
        kind: `sqlite` or `postgresql`.
        engine: For migrations and tests; all else uses `read` and `write`.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 5,
        timeout: float = 5.0,
        migrating: bool = False,
    ) -> None:
        """Make the engine; nothing is opened yet.

        Args:
            url: As for `accounts.database_url.read_url`.
            pool_size: Connections that are kept.
            timeout: Seconds for a connection, a statement, or a lock to come; beyond it, `DatabaseAway`.
            migrating: For migrations: no pool, and SQLite does not look after foreign keys, for it would take the
                rebuilding of a table for the deletion of its rows.

        Raises:
            DatabaseUrlError: See `read_url`.
        """
        self.kind, self.url = read_url(url)
        arguments: dict[str, Any] = {}
        if self.file is None:
            arguments["async_creator"] = partial(_open_postgres, self.url, timeout)
        else:
            arguments["async_creator"] = partial(_open_sqlite, self.file, timeout, foreign_keys=not migrating)
        if migrating:
            arguments["poolclass"] = NullPool
        else:
            arguments |= {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": timeout}
        # A look at each connection before it is used costs a round trip, but none is handed out that has died.
        self.engine: AsyncEngine = create_async_engine(
            self.url if self.kind == "sqlite" else URL.create(self.url.drivername),
            pool_pre_ping=self.kind == "postgresql" and not migrating,
            hide_parameters=True,
            **arguments,
        )
        if self.kind == "sqlite":
            _prepare_sqlite(self.engine)
        self._writing = self.engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})

    @property
    def file(self) -> Path | None:
        """SQLite's file; None for PostgreSQL."""
        return Path(self.url.database or "") if self.kind == "sqlite" else None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads. On SQLite it never waits for a writer.

        Raises:
            DatabaseAway: The database did not answer.
        """
        async with self._session(self.engine) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session that may write, committed at the end of the block.

        On SQLite it takes the write lock at once and waits for it: a transaction that begins by reading could find,
        on its first write, that another has written meanwhile, and no waiting would mend that.

        Raises:
            DatabaseAway: The database did not answer, or another held its lock for too long.
        """
        async with self._session(self._writing) as session:
            yield session

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that holds SQLite's write lock, for `accounts.migrating`."""
        async with self._writing.begin() as connection:
            yield connection

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        with away_when_unreachable():
            async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
                # Begun here and not by the first statement, so that it is known what a block holds.
                await session.connection()
                yield session

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


@contextmanager
def away_when_unreachable() -> Iterator[None]:
    """Turn the many errors of a database that is away into one.

    Raises:
        DatabaseAway: In place of them.
    """
    try:
        yield
    except (OSError, TimeoutError, PoolTimeout) as error:
        raise DatabaseAway(_message(error)) from error
    except DBAPIError as error:
        if not _is_away(error):
            raise
        raise DatabaseAway(_message(error.orig or error)) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # Raised while a connection is made; later SQLAlchemy wraps them. Whatever the server, or a pooler before it,
        # says to that, it lets nobody in.
        raise DatabaseAway(_message(error)) from error


def _message(error: BaseException) -> str:
    # A timeout has no words of its own.
    return (
        f"The database does not answer: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    )


def _is_away(error: DBAPIError) -> bool:
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    if isinstance(error, OperationalError):
        # SQLite: locked, unable to open, disk I/O error. What is wrong with the statement is operational there too.
        return not any(word in str(error.orig) for word in ("no such", "syntax error", "already exists"))
    return _means_away(error.orig)


def _means_away(error: object) -> bool:
    """Whether PostgreSQL's SQLSTATE says that it cannot be used just now, whatever the statement.

    08 connection, 28 authorization, 3D no such database, 40 rolled back for the sake of others (a deadlock, say),
    53 resources, 57 operator intervention, 55000 takes no connections, 55P03 lock, 25006 a standby (https://www.postgresql.org/docs/current/errcodes-appendix.html).
    """
    state = getattr(error, "sqlstate", None) or ""
    return state[:2] in {"08", "28", "3D", "40", "53", "57"} or state in {"25006", "55000", "55P03"}


async def _open_postgres(url: URL, patience: float) -> asyncpg.Connection:
    """Open one connection, and give every statement on it as many seconds as the opening.

    Raises:
        DatabaseAway: The server cannot be reached, does not take what the URL says, or lets nobody in.
    """
    # Here, and not around the session alone: wrapped by SQLAlchemy, a refusal looks like that of a statement.
    with away_when_unreachable():
        return await asyncpg.connect(
            # The driver reads the URL by itself: it understands what libpq does, such as sslmode and sslrootcert, of
            # which SQLAlchemy knows nothing.
            url.set(drivername="postgresql").render_as_string(hide_password=False),
            # Of itself it would take "system" for the name of a file.
            ssl=True if trusts_system(url) else None,
            timeout=patience,
            command_timeout=patience,
            server_settings={"application_name": "sportvision", "timezone": "UTC"},
        )


def _prepare_sqlite(engine: AsyncEngine) -> None:
    # At the level of debugging it would write every statement with its values, and addresses are among them.
    logging.getLogger("aiosqlite").setLevel(logging.INFO)

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


async def _open_sqlite(file: Path, patience: float, *, foreign_keys: bool) -> aiosqlite.Connection:
    """Open one connection, which never begins a transaction by itself, and leave no half of one behind.

    aiosqlite has a thread for each connection, and leaves that of one that was given up to itself: it may find the
    event loop closed. So what was begun is brought to its end here, also where the caller is cancelled meanwhile.

    Raises:
        OSError: The file may not be written, or its folder is not there.
        sqlite3.DatabaseError: The file is no database, or another held it for longer than `patience` seconds.
    """
    _require_writable(file)

    async def opened() -> aiosqlite.Connection:
        # The driver is not to begin transactions: it would not before DDL, nor with the lock that is wanted.
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(
                aiosqlite.connect(file, timeout=patience, isolation_level=None)
            )
            await _switch_to_wal(connection, patience)
            # What is committed stays, even where the machine loses its power. Writes are few.
            await connection.execute("PRAGMA synchronous = FULL")
            await connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
            stack.pop_all()
        return connection

    task = asyncio.ensure_future(opened())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Exception):
            await (await task).close()
        raise


def _require_writable(file: Path) -> None:
    # SQLite says "unable to open database file" whatever the reason.
    if not file.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {file.parent}")
    if not os.access(file if file.exists() else file.parent, os.R_OK | os.W_OK):
        raise PermissionError(f"{file} may not be written by this user")


async def _switch_to_wal(connection: aiosqlite.Connection, patience: float) -> None:
    """Let readers and the one writer not wait for each other.

    The switch, once in a file's life, needs the file for itself, and SQLite does not wait for it where waiting could
    be a deadlock: of several that open a new file at once, all but one may hear at once that it is locked.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            await connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            await asyncio.sleep(0.01)
        else:
            return
