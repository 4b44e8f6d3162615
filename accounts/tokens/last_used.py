"""When tokens were last used: noted in memory, written in batches."""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import bindparam, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.database import Database, DatabaseAway
from accounts.failures import Failures
from accounts.tables import Token
from accounts.tokens.holding import hold

#: What is kept while the database is away.
_MAX_NOTED: Final = 100_000
#: Tokens that are written in one transaction: it is over in milliseconds, and nobody waits for longer to rotate one.
_AT_ONCE: Final = 500

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
        self._failures = Failures()

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
        """Write what is noted. What cannot be written is kept for the next time, and logged once for each kind."""
        noted, self._noted = self._noted, {}
        # In one order on all replicas, or two could wait for each other's rows.
        left = sorted(noted)
        try:
            while left:
                some = left[:_AT_ONCE]
                async with self._database.write() as session:
                    await _write(session, {one: noted[one] for one in some})
                del left[: len(some)]
        except DatabaseAway as error:
            if self._failures.is_new(error):
                _log.warning("Could not write when tokens were last used; it is kept. %s", error)
        except Exception as error:  # noqa: BLE001
            # Whatever it is, the next time may go well, and nobody would begin the writing anew.
            if self._failures.is_new(error):
                _log.exception("Could not write when tokens were last used; it is kept.")
        else:
            self._failures.clear()
        finally:
            # What was noted meanwhile is newer.
            self._noted = {one: noted[one] for one in left} | self._noted


async def _write(session: AsyncSession, noted: Mapping[uuid.UUID, float]) -> None:
    table = Token.__table__
    moment = bindparam("moment", type_=table.c.last_used_at.type)
    statement = (
        update(Token)
        .where(Token.id == bindparam("token"))
        # Another replica may have seen a later use.
        .where(or_(Token.last_used_at.is_(None), Token.last_used_at < moment))
        .values(last_used_at=moment)
    )
    there = await hold(session, list(noted))
    rows = [
        {"token": one, "moment": datetime.fromtimestamp(last, UTC)}
        for one, last in noted.items()
        if one in there
    ]
    if rows:
        await (await session.connection()).execute(statement, rows)
