"""Changes of tokens and accounts, read from where they are written down anyway: the audit log.

One small query every few seconds tells a replica of all that was revoked, disabled or deleted by any other, and by an
operator at the command line. So what is remembered of tokens can be kept for long, and still no revocation waits.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sqlalchemy import func, select

from accounts.database import Database, DatabaseAway
from accounts.tables import AuditEntry
from accounts.tokens.news import Listener

#: Entries that change nothing of what is remembered.
_HARMLESS: Final = ("account.make", "account.export", "token.make")
#: A number is given when an entry is written, and can be seen when its transaction ends: entries of a higher number
#: may be seen before. No transaction of ours takes as long as this, in seconds.
_SETTLED_SECONDS: Final = 30.0
#: Where more have changed than this, everything may have.
_MOST: Final = 500


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
        #: Entries behind that one, and when they were seen.
        self._seen: dict[int, float] = {}

    async def follow(self) -> None:
        """Look again and again, until cancelled. While the database is away, what is missed is read afterwards."""
        while True:
            # Those who look tokens up say that it is away.
            with suppress(DatabaseAway):
                await self.look()
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Look once; the first time only to learn where the log ends.

        Raises:
            DatabaseAway: It does not answer.
        """
        if self._settled is None:
            async with self._database.read() as session:
                self._settled = await session.scalar(select(func.max(AuditEntry.id))) or 0
            # What was read before this moment may be of before the last entries.
            self._listener(None)
            return
        query = (
            select(AuditEntry.id, AuditEntry.action, AuditEntry.token_id, AuditEntry.account_id)
            .where(AuditEntry.id > self._settled)
            .order_by(AuditEntry.id)
            .limit(_MOST)
        )
        async with self._database.read() as session:
            rows = (await session.execute(query)).all()
        if len(rows) == _MOST:
            self._listener(None)
            self._settled, self._seen = rows[-1].id, {}
            return
        now = self._clock()
        for number, action, token_id, account_id in rows:
            if number not in self._seen:
                self._seen[number] = now
                self._tell(action, token_id, account_id)
        self._settle(now)

    def _tell(self, action: str, token_id: uuid.UUID | None, account_id: uuid.UUID | None) -> None:
        identity = token_id or account_id
        if identity is not None and action not in _HARMLESS:
            self._listener(identity)

    def _settle(self, now: float) -> None:
        for number in sorted(self._seen):
            if now - self._seen[number] < _SETTLED_SECONDS:
                break
            self._settled = number
            del self._seen[number]
