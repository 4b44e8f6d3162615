"""Callers who keep a gateway busy, and what became of their requests."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import numpy as np

from tests.support.gateway import PREDICT, TOKEN
from tests.support.pictures import grey_jpeg

_PATIENCE = 30.0


@dataclass(frozen=True)
class Outcome:
    """What became of one request.

    Attributes:
        what: The status, or the name of the exception where there was no answer.
        seconds: How long the caller waited.
        ended: When it was over, by `time.monotonic`.
        late: How many of the seconds passed before it was sent: the sender's own lateness.
    """

    what: int | str
    seconds: float
    ended: float
    late: float = 0.0


@dataclass
class Load:
    """What has happened so far."""

    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def by_kind(self) -> Counter[int | str]:
        """How often each status came, or each exception."""
        return Counter(outcome.what for outcome in self.outcomes)

    @property
    def failed(self) -> int:
        """How many were not answered with 200."""
        return len(self.outcomes) - self.by_kind[200]

    def percentile(self, percent: float, since: float = 0.0, until: float = float("inf")) -> float:
        """How long callers waited, in seconds, of the requests that were answered with 200 in that time."""
        waits = [one.seconds for one in self.outcomes if one.what == 200 and since <= one.ended < until]
        return float(np.percentile(waits, percent)) if waits else float("nan")

    def rate(self, since: float, until: float) -> float:
        """Requests answered with 200 in that time, a second."""
        return sum(one.what == 200 and since <= one.ended < until for one in self.outcomes) / (until - since)

    async def more(self, count: int, kind: int | str = 200) -> None:
        """Wait until so many more requests have ended that way."""
        wanted = self.by_kind[kind] + count
        await self.until(lambda: self.by_kind[kind] >= wanted)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait; TimeoutError after 30 s."""
        async with asyncio.timeout(_PATIENCE):
            while not reached():
                await asyncio.sleep(0.01)


async def ask(client: httpx.AsyncClient, picture: bytes) -> Outcome:
    """Send one picture."""
    started = time.monotonic()
    what: int | str
    try:
        answer = await client.post(PREDICT, files={"file": picture}, headers={"Authorization": TOKEN})
        what = answer.status_code
    except httpx.TransportError as error:
        what = type(error).__name__
    ended = time.monotonic()
    return Outcome(what, ended - started, ended)


@asynccontextmanager
async def under_load(
    choose: Callable[[], httpx.AsyncClient | None], callers: int = 4, picture: bytes | None = None
) -> AsyncIterator[Load]:
    """Keep so many requests in flight while the context lasts; each then ends by itself.

    Args:
        choose: Gives the client for the next request; None ends its caller.
        callers: How many requests are in flight.
        picture: What is sent; a grey square otherwise.
    """
    content = picture or grey_jpeg(7)
    load, done = Load(), asyncio.Event()

    async def caller() -> None:
        while not done.is_set() and (client := choose()) is not None:
            outcome = await ask(client, content)
            load.outcomes.append(outcome)
            if outcome.what != 200:
                # As every polite caller does; it also keeps a refusing gateway from being all that runs.
                await asyncio.sleep(0.02)

    tasks = [asyncio.create_task(caller()) for _ in range(callers)]
    try:
        yield load
    finally:
        done.set()
        await asyncio.gather(*tasks)
