"""Requests at fixed times to gateways that come and go, each one's fate written down."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

from benchmarks.support.load import Caller
from tests.support.load import Load, Outcome


class _Caller(Caller):
    @property
    def usable(self) -> bool:
        """Whether the server has not closed the connection."""
        return self._streams is not None and not self._streams[0].at_eof()


class _Pool:
    """Idle connections by port; one that the server has closed meanwhile is not used again."""

    def __init__(self) -> None:
        self._idle: dict[int, list[_Caller]] = defaultdict(list)

    def take(self, port: int) -> _Caller:
        idle = self._idle[port]
        while idle:
            caller = idle.pop()
            if caller.usable:
                return caller
        return _Caller(port)

    def give_back(self, port: int, caller: _Caller) -> None:
        self._idle[port].append(caller)

    async def close(self) -> None:
        for idle in self._idle.values():
            for caller in idle:
                await caller.close()


async def steady(
    choose: Callable[[], int], request: bytes, *, rate: float, seconds: float, load: Load
) -> None:
    """Send so many requests a second for so long, whatever becomes of the earlier ones.

    Each wait counts from the time at which the request was due, so that a queue in this process or a pause of the
    server's is not hidden.

    Args:
        choose: Gives the port for the next request.
        request: The whole HTTP request.
        rate: Requests a second.
        seconds: For how long they are sent.
        load: Gets an outcome for each, in the order in which they end.
    """
    pool = _Pool()

    async def send(due: float) -> None:
        port = choose()
        caller = pool.take(port)
        what: int | str
        late = time.monotonic() - due
        try:
            async with asyncio.timeout(60):
                what, _ = await caller.exchange(request)
            pool.give_back(port, caller)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            what = type(error).__name__
            await caller.close()
        ended = time.monotonic()
        load.outcomes.append(Outcome(what, ended - due, ended, late))

    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(round(rate * seconds)):
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(send(due))
    await pool.close()
