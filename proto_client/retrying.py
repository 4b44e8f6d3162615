"""Repeats a call that met a passing fault.

gRPC's core could do it by itself (gRFC A6), and did here; but it tells nobody how often, and a rise of retries is the
first sign of a model server that is about to be too busy. Its so-called transparent retries, of calls that never
left this process, go on by themselves and are not seen here. Calls are never sent twice at the same time (hedged):
where servers are slow because they have too much to do, that would give them more.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import grpc

from proto_client.channel import RetryPolicy
from proto_client.retry_budget import RetryBudget

__all__ = ["Attempts", "with_retries"]

_PASSING: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
# Spreads the waits of callers who met the same fault at the same moment, as gRFC A6 does.
_JITTER: Final = 0.2
# gRPC's core says so of a reply above the client's own limit; another would be as large.
_TOO_LARGE: Final = "larger than max"


@dataclass(frozen=True, slots=True)
class Attempts:
    """What the attempts at one call share.

    Attributes:
        policy: How often, and how long to wait in between.
        budget: What the retries are taken from.
        several: Whether another server may answer where one does not.
        usual: Seconds that calls usually take at most; an attempt is not given up sooner.
        on_retry: Called before each attempt but the first.
        on_refused: Called where an attempt would follow if the budget allowed it.
    """

    policy: RetryPolicy
    budget: RetryBudget
    several: bool
    usual: float
    on_retry: Callable[[], None]
    on_refused: Callable[[], None]

    def seconds_for(self, left: float) -> float:
        """How long an attempt may take that is not the last, in seconds, with so many left for all.

        A server that hangs must not take the time in which another could answer. So no attempt takes more than half
        of what is left. Where the budget is spent no other attempt could follow, and this one gets all: then
        servers that are slow because there is too much to do are not made slower still by calls given up too soon.
        """
        if not self.several or not self.budget.allows:
            return left
        return min(left, max(self.usual, min(self.policy.attempt_timeout, left / 2)))


async def with_retries(
    attempt: Callable[[float], Awaitable[bytes]], attempts: Attempts, seconds: float
) -> bytes:
    """Try until an attempt succeeds, meets a fault that will not pass, or was the last.

    Args:
        attempt: Makes the call once, within the seconds that it is given.
        attempts: How often, and what for.
        seconds: For all attempts and waits together. Where the next wait would go beyond, the fault is raised at
            once: it says more than the passing of a deadline.

    Returns:
        The reply.

    Raises:
        grpc.aio.AioRpcError: The fault of the last attempt.
    """
    policy = attempts.policy
    deadline = time.monotonic() + seconds
    backoff = policy.initial_backoff
    left = seconds
    for _ in range(policy.attempts - 1):
        given = attempts.seconds_for(left)
        try:
            return await attempt(given)
        except grpc.aio.AioRpcError as error:
            wait = 0.0
            if not (given < left and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED):
                if not _will_pass(error):
                    raise
                wait = backoff * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - nobody gains by guessing it
                backoff = min(backoff * policy.multiplier, policy.max_backoff)
            if time.monotonic() + wait >= deadline:
                raise
            if not attempts.budget.withdraw():
                attempts.on_refused()
                raise
        if wait:
            await asyncio.sleep(wait)
        left = deadline - time.monotonic()
        attempts.on_retry()
    return await attempt(left)


def _will_pass(error: grpc.aio.AioRpcError) -> bool:
    return error.code() in _PASSING and _TOO_LARGE not in (error.details() or "")
