"""How long a caller is willing to wait: the header X-Request-Timeout."""

import asyncio
import math
import re
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from fastapi import Request
from starlette.datastructures import Headers

from app.errors import InvalidParameter
from app.middleware.observation import BEGAN

HEADER: Final = "X-Request-Timeout"
# Nine digits are thirty years; a limit keeps what could never be meant from being read as a number.
_SECONDS: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?")

# The answer has its way to go too, and the head of the request had: so much less is used, as a share and in seconds.
_MARGIN: Final = 0.1
_MOST_MARGIN_SECONDS: Final = 0.1

T = TypeVar("T")

#: How the header is described in OpenAPI, for every operation that heeds it.
HEADER_PARAMETER: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Seconds within which you need the answer, counted from the request's head: upload, waiting, "
    "decoding and the model's answer together. Without an answer by then you get 504, and the work is dropped. It "
    "can only shorten the service's own limits.",
    "schema": {"type": "number", "exclusiveMinimum": 0, "example": 2.5},
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the caller of a request waits.

    Attributes:
        asked: Seconds by the header, counted from the request's head; None where the caller does not say.
        ends: When the work must end for the answer to be there by then, by `time.perf_counter`; infinity where the
            caller does not say.
    """

    asked: float | None
    ends: float

    @classmethod
    def of(cls, request: Request) -> Self:
        """Read the header of a request.

        Raises:
            InvalidParameter: It is not as it should be.
        """
        asked = asked_seconds(request.headers)
        began: float = getattr(request.state, BEGAN, None) or time.perf_counter()
        if asked is None:
            return cls(None, math.inf)
        return cls(asked, began + asked - min(_MARGIN * asked, _MOST_MARGIN_SECONDS))

    def within(self, seconds: float) -> float:
        """Return so many seconds, or what is left of the caller's if that is less; it may be below 0."""
        return min(seconds, self.ends - time.perf_counter())

    def deadline(self, seconds: float) -> float:
        """Return what is so many seconds ahead, or the end of the caller's, by `time.perf_counter`."""
        return min(time.perf_counter() + seconds, self.ends)


def asked_seconds(headers: Headers) -> float | None:
    """Read the header.

    Returns:
        The seconds that the caller gives the request; None where it does not say.

    Raises:
        InvalidParameter: It is there more than once, is no decimal number, or is 0.
    """
    values = headers.getlist(HEADER)
    if not values:
        return None
    value = values[0].strip()
    if len(values) > 1 or not _SECONDS.fullmatch(value) or float(value) == 0:
        shown = ", ".join(values)[:100]
        message = "must be one number of seconds above 0, such as 2.5"
        raise InvalidParameter(
            f"{HEADER} = {shown!r}: it {message}. Change the header or leave it out.",
            errors=[{"parameter": HEADER, "message": message, "value": shown}],
        )
    return float(value)


async def by_deadline(work: Awaitable[T], deadline: float) -> T:
    """Wait for `work` until the deadline. Not for gRPC calls, which keep their deadlines themselves.

    Args:
        work: It is cancelled at the deadline.
        deadline: By `time.perf_counter`.

    Raises:
        TimeoutError: The deadline passed.
    """
    async with asyncio.timeout(deadline - time.perf_counter()):
        return await work
