"""Routes that take a short JSON body or none: it is read within bounds, and a problem says what is wrong with it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.errors import ClientClosedRequest, ContentTooLarge, Problem, UploadTimeout

MAX_BYTES: Final = 16_384
_SECONDS: Final = 10.0


class InvalidBody(Problem):
    """The body is not the JSON that it must be."""

    status, slug, title = 422, "invalid-body", "The request body is not as it must be"


class SmallBodyRoute(APIRoute):
    """For `APIRouter(route_class=…)`."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Make the handler."""
        handler = super().get_route_handler()

        async def with_small_body(request: Request) -> Response:
            body = await _read(request)
            try:
                return await handler(Request(request.scope, _replay(body, request)))
            except RequestValidationError as error:
                if error.errors()[0]["loc"][0] != "body":
                    raise
                raise _invalid(error) from error

        return with_small_body


async def _read(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ContentTooLarge(f"The body may have {MAX_BYTES:,} bytes at most. Send less.")
    except TimeoutError as error:
        raise UploadTimeout(
            f"The body did not come in within {_SECONDS:g} seconds. Send it again, faster."
        ) from error
    except ClientDisconnect as error:
        raise ClientClosedRequest("The client closed the connection before the body was there.") from error
    return bytes(body)


def _replay(body: bytes, request: Request) -> Callable[[], Awaitable[Message]]:
    replayed = False

    async def receive() -> Message:
        nonlocal replayed
        if replayed:
            return await request.receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _invalid(error: RequestValidationError) -> InvalidBody:
    found = [_finding(item) for item in error.errors()]
    words = "; ".join(f"{one['field']}: {one['message']}" for one in found)
    return InvalidBody(
        f"{words}. Send a JSON object as the documentation at /docs shows it, with Content-Type: application/json.",
        errors=found,
    )


def _finding(item: dict[str, Any]) -> dict[str, str]:
    # The values are left out: what somebody sends here is an address or a secret.
    place = ".".join(str(part) for part in item["loc"][1:] if not isinstance(part, int))
    return {"field": place or "body", "message": str(item["msg"])}
