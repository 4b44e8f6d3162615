"""Changes of tokens and accounts, read from where they are written down anyway: the audit log.

One small query every few seconds tells a replica of all that was revoked, disabled or deleted by any other, and by an
operator at the command line. So what is remembered of tokens can be kept for long, and still no revocation waits.
"""

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from sqlalchemy import func, or_, select

from accounts.database import Database, DatabaseAway
from accounts.failures import Failures
from accounts.tables import AuditEntry
from accounts.tokens.news import Listener

#: Entries that change nothing of what is remembered.
_HARMLESS: Final = ("account.make", "account.export", "token.make")
#: A number is given when an entry is written, and can be seen when its transaction ends: entries of a higher number
#: may be seen before. No transaction of ours takes as long as this, in seconds.
_SETTLED_SECONDS: Final = 30.0
#: So many are read at a time. Where as many have changed since the last look, everything may have.
_MOST: Final = 500

_log = logging.getLogger(__name__)


class _Entry(NamedTuple):
    number: int
    action: str
    token_id: uuid.UUID | None
    account_id: uuid.UUID | None


class Changes:
    """Looks for new entries, and tells of the tokens and accounts in them, once each."""

    def __init__(
        self,
        database: Database,
        listener: Listener,
        *,
        every_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is read yet.

        Args:
            database: Where the audit log is.
            listener: What is told.
            every_seconds: How often it is looked.
            clock: Monotonic, in seconds.
        """
        self._database = database
        self._listener = listener
        self._every = every_seconds
        self._clock = clock
        #: The last entry that can have no unseen one before it.
        self._settled: int | None = None
        #: The entries behind that one that were seen.
        self._seen: set[int] = set()
        #: Entries that were the newest, and when they were seen, oldest first.
        self._newest: deque[tuple[int, float]] = deque()
        self._failures = Failures()

    async def follow(self) -> None:
        """Look again and again, until cancelled. What is missed while that fails is read afterwards."""
        while True:
            try:
                await self.look()
            except DatabaseAway:
                # Those who look tokens up say so.
                pass
            except Exception as error:  # noqa: BLE001
                # Whatever it is, the next look may go well, and nobody would begin to follow anew.
                if self._failures.is_new(error):
                    _log.exception(
                        "Could not read what has changed of tokens and accounts; it is tried again."
                    )
            else:
                self._failures.clear()
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Look once; the first time only to learn where the log ends.

        Raises:
            DatabaseAway: It does not answer.
        """
        began = self._clock()
        settled = self._settled
        first = settled is None
        if settled is None:
            async with self._database.read() as session:
                newest = await session.scalar(select(func.max(AuditEntry.id))) or 0
            # Not all that were given a lower number can be seen already; none of them is as far back as this.
            settled = max(newest - _MOST, 0)
        entries = await self._read(settled)
        self._settled = settled
        new = [entry for entry in entries if entry.number not in self._seen]
        self._seen.update(entry.number for entry in new)
        if first or len(new) >= _MOST:
            # What was read before this moment may be of before these entries.
            self._listener(None)
        else:
            for entry in new:
                self._tell(entry)
        if entries:
            self._newest.append((entries[-1].number, self._clock()))
        self._settle(began)

    async def _read(self, after: int) -> list[_Entry]:
        """Read all entries behind this one that change anything, and the newest in any case, in order."""
        newest = select(func.max(AuditEntry.id)).scalar_subquery()
        found: list[_Entry] = []
        async with self._database.read() as session:
            while True:
                query = (
                    select(AuditEntry.id, AuditEntry.action, AuditEntry.token_id, AuditEntry.account_id)
                    .where(
                        AuditEntry.id > after,
                        or_(AuditEntry.action.not_in(_HARMLESS), AuditEntry.id == newest),
                    )
                    .order_by(AuditEntry.id)
                    .limit(_MOST)
                )
                page = [_Entry(*row) for row in await session.execute(query)]
                found += page
                if len(page) < _MOST:
                    return found
                after = page[-1].number

    def _tell(self, entry: _Entry) -> None:
        identity = entry.token_id or entry.account_id
        if identity is not None and entry.action not in _HARMLESS:
            self._listener(identity)

    def _settle(self, began: float) -> None:
        """Settle what was there long enough before a look began: that look has seen all that was still on its way."""
        while self._newest and began - self._newest[0][1] >= _SETTLED_SECONDS:
            self._settled, _ = self._newest.popleft()
        settled = self._settled or 0
        self._seen = {number for number in self._seen if number > settled}
