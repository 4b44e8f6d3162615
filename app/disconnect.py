"""Stops the work for a caller who has gone away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from app.errors import ClientClosedRequest

T = TypeVar("T")


async def run_while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end, or cancel it as soon as the caller goes away.

    Args:
        request: The request, its body already read: what is received after that can only be the disconnect.
        work: What to do.

    Raises:
        ClientClosedRequest: The caller went away first.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientClosedRequest("The caller went away before the answer was ready.")
    finally:
        watching.cancel()
        if working.cancel():
            # Wait, so that the call to the model is over when the request is.
            await asyncio.wait((working,))


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
