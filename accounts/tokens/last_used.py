"""When tokens were last used: noted in memory, written in batches."""

import asyncio
import logging
import uuid
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import bindparam, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.database import Database, DatabaseAway
from accounts.tables import Token

#: What is kept while the database is away.
_MAX_NOTED: Final = 100_000

_log = logging.getLogger(__name__)


class LastUsed:
    """Notes each use, which costs a dictionary's entry, and writes what there is from time to time.

    A process that is killed loses what it has noted since the last write; `last_used_at` then shows an earlier use.
    """

    def __init__(self, database: Database, *, every_seconds: float) -> None:
        """Nothing is noted yet.

        Args:
            database: Where tokens are kept.
            every_seconds: How often it is written.
        """
        self._database = database
        self._every = every_seconds
        self._noted: dict[uuid.UUID, float] = {}

    def note(self, token_id: uuid.UUID, moment: float) -> None:
        """Note a use.

        Args:
            token_id: Which token.
            moment: When, in seconds since the epoch.
        """
        if len(self._noted) < _MAX_NOTED or token_id in self._noted:
            self._noted[token_id] = moment

    async def write_forever(self) -> None:
        """Write what is noted, again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            await self.write()

    async def write(self) -> None:
        """Write what is noted. Where the database is away it is kept for the next time."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            async with self._database.write() as session:
                await _write(session, noted)
        except DatabaseAway as error:
            # What was noted meanwhile is newer.
            self._noted = noted | self._noted
            _log.warning("Could not write when tokens were last used; it is kept. %s", error)


async def _write(session: AsyncSession, noted: dict[uuid.UUID, float]) -> None:
    table = Token.__table__
    moment = bindparam("moment", type_=table.c.last_used_at.type)
    statement = (
        update(Token)
        .where(Token.id == bindparam("token"))
        # Another replica may have seen a later use.
        .where(or_(Token.last_used_at.is_(None), Token.last_used_at < moment))
        .values(last_used_at=moment)
    )
    # In one order on all replicas, or two could wait for each other's rows.
    rows = [{"token": one, "moment": datetime.fromtimestamp(noted[one], UTC)} for one in sorted(noted)]
    await (await session.connection()).execute(statement, rows)
