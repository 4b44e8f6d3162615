"""Lookups of tokens whose clock and whose database do what they are told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from accounts.database import Database, DatabaseAway
from accounts.tokens.lookup import TokenLookup

FRESH, STALE = 10.0, 300.0

Opened = Callable[..., TokenLookup]


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class Unsteady:
    """A database that can be away, or hang."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        self.asked += 1
        await self.gate.wait()
        if self.away:
            raise DatabaseAway("away, on purpose")
        async with self.database.read() as session:
            yield session


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0.001)
