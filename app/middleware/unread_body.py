"""Answers given before the request's body was read, in such a way that the caller gets to see them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MAX_SECONDS = 2.0
_MAX_BYTES = 64 * 1024 * 1024


class UnreadBodyMiddleware:
    """Closes a connection on which an answer went out early, but lingers first.

    Closing at once would reset the connection under a caller who is still sending, and most HTTP libraries then
    report a broken pipe rather than the 413 or 401 that tells what to change. So the answer is sent whole, what
    still comes in is thrown away for a short while, and only then does the connection end (RFC 9112, section 9.6).

    A small body is often there as a whole by then; such a connection stays. Under overload most answers are refusals,
    and to accept a new connection for each would slow down those who are let in.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        unread = True
        # To ask for the body would invite a caller to send it who waits for that.
        may_look = "expect" not in Headers(scope=scope)

        async def watched_receive() -> Message:
            nonlocal unread
            message = await receive()
            unread = message["type"] == "http.request" and message.get("more_body", False)
            return message

        early = False

        async def lingering_send(message: Message) -> None:
            nonlocal early
            if message["type"] == "http.response.start" and unread:
                if may_look:
                    await _throw_away(watched_receive, lambda: unread, seconds=0)
                if unread:
                    early = True
                    MutableHeaders(scope=message)["Connection"] = "close"
            if early and message["type"] == "http.response.body" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await _throw_away(watched_receive, lambda: unread, seconds=_MAX_SECONDS)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, watched_receive, lingering_send)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _throw_away(
    receive: Callable[[], Awaitable[Any]], goes_on: Callable[[], bool], *, seconds: float
) -> None:
    # With no seconds at all, what has arrived already is taken, and nothing is waited for.
    received = 0
    try:
        async with asyncio.timeout(seconds):
            while goes_on() and received < _MAX_BYTES:
                received += len((await receive()).get("body", b""))
    except TimeoutError:
        return
