"""Stops the work for a caller who has gone away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from fastapi import Request

from app.errors import ClientClosedRequest

T = TypeVar("T")

# Most answers are there sooner, and then nobody need watch: a task for each request costs more than all it may save.
_UNWATCHED_SECONDS: Final = 0.05


async def run_while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end, or cancel it soon after the caller has gone away.

    Args:
        request: The request, its body already read: what is received after that can only be the disconnect.
        work: What to do.

    Raises:
        ClientClosedRequest: The caller went away first.
    """
    worker = asyncio.current_task()
    if worker is None:
        raise RuntimeError("Requests are served in tasks.")
    watch = _Watch(request, worker)
    timer = asyncio.get_running_loop().call_later(_UNWATCHED_SECONDS, watch.begin)
    try:
        return await work
    except asyncio.CancelledError:
        if not watch.gone:
            raise
        worker.uncancel()
        raise ClientClosedRequest("The caller went away before the answer was ready.") from None
    finally:
        timer.cancel()
        watch.end()


class _Watch:
    """Cancels a task when the caller of its request goes away."""

    def __init__(self, request: Request, worker: asyncio.Task[Any]) -> None:
        self.gone = False
        self._request = request
        self._worker = worker
        self._watching: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    def end(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._worker.cancel()
