"""Repeats a call that met a passing fault.

gRPC's core could do it by itself (gRFC A6), and did here; but it tells nobody how often, and a rise of retries is the
first sign of a model server that is about to be too busy. Its so-called transparent retries, of calls that never
left this process, go on by themselves and are not seen here.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import grpc

from proto_client.channel import RetryPolicy

__all__ = ["with_retries"]

_PASSING: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
# Spreads the waits of callers who met the same fault at the same moment, as gRFC A6 does.
_JITTER: Final = 0.2


async def with_retries(
    attempt: Callable[[float], Awaitable[bytes]],
    *,
    policy: RetryPolicy,
    seconds: float,
    on_retry: Callable[[], None],
) -> bytes:
    """Try until an attempt succeeds, meets a fault that will not pass, or was the last.

    Args:
        attempt: Makes the call once, with the seconds that are left for it.
        policy: How often, and how long to wait in between.
        seconds: For all attempts and waits together. Where the next wait would go beyond, the fault is raised at
            once: it says more than the passing of a deadline.
        on_retry: Called before each attempt but the first.

    Returns:
        The reply.

    Raises:
        grpc.aio.AioRpcError: The fault of the last attempt.
    """
    deadline = time.monotonic() + seconds
    backoff = policy.initial_backoff
    left = seconds
    for _ in range(policy.attempts - 1):
        try:
            return await attempt(left)
        except grpc.aio.AioRpcError as error:
            wait = backoff * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - nobody gains by guessing it
            if error.code() not in _PASSING or time.monotonic() + wait >= deadline:
                raise
        await asyncio.sleep(wait)
        backoff = min(backoff * policy.multiplier, policy.max_backoff)
        left = deadline - time.monotonic()
        on_retry()
    return await attempt(left)
