"""What tokens use: counted in memory, written in batches.

No answer waits for the database. Where the process is killed, what was counted since the last write is lost, and
nothing else: a write begins `interval` seconds after the one before, or as soon as `batch` requests wait, and takes
all that is there.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Executable, Select, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from accounts.database import Database, DatabaseAway
from accounts.failures import Failures
from accounts.tables import DailyUsage
from accounts.tokens.holding import hold
from accounts.usage_counts import Counts

#: Days × tokens that are kept while the database is away; some 30 MB. What comes on top is not counted.
MAX_PENDING: Final = 100_000
_COUNTED: Final = ("requests", "images", "refused", "failed")
#: Days are summed up beside the writing so often, before a write waits for it.
_TRIES: Final = 3
#: Between tries while the database is away, at most.
_MAX_PAUSE_SECONDS: Final = 30.0
#: For the last write, when the process is about to end.
_LAST_WRITE_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class _Row:
    day: date
    token_id: uuid.UUID
    account_id: uuid.UUID


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


class UsageLedger:
    """Counts in memory and writes to the database. For one event loop; made by `open_ledger`.

    Args:
        database: Where `usage_daily` is.
        interval: Seconds between two writes.
        batch: A write begins at once where so many requests wait.
        max_pending: Rows that are kept at most.
        today: The day that counts go to.
    """

    def __init__(
        self,
        database: Database,
        *,
        interval: float,
        batch: int,
        max_pending: int = MAX_PENDING,
        today: Callable[[], date] = today,
    ) -> None:
        self._database = database
        self._interval = interval
        self._batch = batch
        self._max_pending = max_pending
        self._today = today
        self._pending: dict[_Row, Counts] = {}
        self._being_written = 0
        self._waiting = 0
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        # How many writes have begun: a sum of what is written and what is not must not be taken in the midst of one.
        self._begun = 0
        self._stopping = False
        self._failures = Failures()
        self._dropping = False

    def count(self, token_id: uuid.UUID, account_id: uuid.UUID, counts: Counts) -> None:
        """Count what a request used, today. Quick, and never fails."""
        row = _Row(self._today(), token_id, account_id)
        known = self._pending.get(row)
        if known is None:
            if len(self._pending) >= self._max_pending:
                self._drop()
                return
            known = self._pending[row] = Counts()
        known.add(counts)
        self._waiting += 1
        # While the database is away, a full batch is no reason to ask it again at once.
        if self._waiting >= self._batch and not self._failures:
            self._wake.set()

    async def daily(
        self, since: date, *, token_id: uuid.UUID | None = None, account_id: uuid.UUID | None = None
    ) -> dict[date, Counts]:
        """Sum up the days of a token, or of an account, with what this process has not written yet.

        Args:
            since: The first day.
            token_id: Whose days; or
            account_id: of all its tokens, those that were revoked too.

        Returns:
            The days on which anything was used, in order.

        Raises:
            DatabaseAway: The database did not answer.
        """
        columns = [func.sum(getattr(DailyUsage, name)) for name in _COUNTED]
        whose = DailyUsage.account_id == account_id if token_id is None else DailyUsage.token_id == token_id
        statement = (
            select(DailyUsage.day, *columns).where(whose, DailyUsage.day >= since).group_by(DailyUsage.day)
        )
        for _ in range(_TRIES):
            async with self._writing:
                # Only waited for, and not held while the database is asked: one that hangs would hold up all others
                # who ask, and the next write.
                begun = self._begun
            days = await self._written(statement)
            # Nobody knows whether this has seen what was written meanwhile.
            if begun == self._begun:
                break
        else:
            # The database answers, and writes follow each other closely: one of them waits.
            async with self._writing:
                days = await self._written(statement)
        for day, counts in self._unwritten(token_id, account_id).items():
            if day >= since:
                days.setdefault(day, Counts()).add(counts)
        return dict(sorted(days.items()))

    async def _written(self, statement: Select[date, *tuple[Any, ...]]) -> dict[date, Counts]:
        async with self._database.read() as session:
            # PostgreSQL's sums of big integers are decimals.
            return {day: Counts(*map(int, sums)) for day, *sums in await session.execute(statement)}

    async def write(self) -> None:
        """Write what was counted; where that fails, it is kept for the next time.

        Raises:
            DatabaseAway: It was not written.
            Exception: It was not written either; a table is missing, say.
        """
        async with self._writing:
            if not self._pending:
                return
            self._begun += 1
            rows, self._pending, self._waiting = self._pending, {}, 0
            self._being_written = sum(counts.requests for counts in rows.values())
            written = False
            try:
                await _upsert(self._database, rows)
                written = True
            finally:
                self._being_written = 0
                if not written:
                    for row, counts in rows.items():
                        self._pending.setdefault(row, Counts()).add(counts)

    async def run(self) -> None:
        """Write from time to time, and a last time after `stop`."""
        pause = self._interval
        while not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()
            await self._try()
            pause = min(max(pause * 2, 0.1), _MAX_PAUSE_SECONDS) if self._failures else self._interval
        await self._try()

    async def _try(self) -> None:
        try:
            await self.write()
        except Exception as error:  # noqa: BLE001
            # Whatever it is, the next write may go well, and nobody would begin to write anew.
            if self._failures.is_new(error):
                _log.warning(
                    "usage is kept in memory until it can be written: %s",
                    error,
                    exc_info=None if isinstance(error, DatabaseAway | SQLAlchemyError) else error,
                )
        else:
            if self._failures:
                _log.warning("usage is written again")
            self._failures.clear()
            self._dropping = False

    def stop(self) -> None:
        """Let `run` write a last time and end."""
        self._stopping = True
        self._wake.set()

    @property
    def unwritten(self) -> int:
        """How many requests would be lost if the process were killed now."""
        return self._being_written + sum(counts.requests for counts in self._pending.values())

    def _unwritten(self, token_id: uuid.UUID | None, account_id: uuid.UUID | None) -> dict[date, Counts]:
        found: dict[date, Counts] = {}
        for row, counts in self._pending.items():
            if row.token_id == token_id or row.account_id == account_id:
                found.setdefault(row.day, Counts()).add(counts)
        return found

    def _drop(self) -> None:
        if not self._dropping:
            self._dropping = True
            _log.error(
                "the database has been away for so long that usage of more tokens cannot be kept in memory; what "
                "they use is not counted until it is back"
            )


@asynccontextmanager
async def open_ledger(database: Database, *, interval: float, batch: int) -> AsyncIterator[UsageLedger]:
    """Count usage while the block runs, and write what is left when it ends. See `UsageLedger` for the arguments."""
    ledger = UsageLedger(database, interval=interval, batch=batch)
    running = asyncio.create_task(ledger.run(), name="write usage")
    try:
        yield ledger
    finally:
        ledger.stop()
        _, late = await asyncio.wait((running,), timeout=_LAST_WRITE_SECONDS)
        for task in late:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if ledger.unwritten:
            _log.error(
                "usage of %d requests could not be written before the end: it is lost", ledger.unwritten
            )


async def _upsert(database: Database, rows: Mapping[_Row, Counts]) -> None:
    async with database.write() as session:
        # What a deleted token used has nobody to show it to.
        known = await hold(session, sorted({row.token_id for row in rows}))
        values = [
            {
                "token_id": row.token_id,
                "day": row.day,
                "account_id": row.account_id,
                **{name: getattr(counts, name) for name in _COUNTED},
            }
            # Every process in the same order, so that no two wait for each other's rows.
            for row, counts in sorted(rows.items(), key=itemgetter(0))
            if row.token_id in known
        ]
        if not values:
            return
        if database.kind == "postgresql":
            await session.execute(_adding(postgresql.insert(DailyUsage)), values)
        else:
            await session.execute(_adding(sqlite.insert(DailyUsage)), values)


def _adding(insert: postgresql.Insert | sqlite.Insert) -> Executable:
    added = {name: getattr(DailyUsage, name) + insert.excluded[name] for name in _COUNTED}
    return insert.on_conflict_do_update(index_elements=["token_id", "day"], set_=added)
