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
from proto_client.usual_time import UsualTime

__all__ = ["Attempts", "with_retries"]

_PASSING: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
# Spreads the waits of callers who met the same fault at the same moment, as gRFC A6 does.
_JITTER: Final = 0.2
# The first attempt takes at most so much of the time: as each takes twice as long as the one before, four have room
# in it, and the last of them has the greater part.
_FIRST_SHARE: Final = 1 / 16
# gRPC's core says so of a reply above the client's own limit; another would be as large.
_TOO_LARGE: Final = "larger than max"


@dataclass(frozen=True, slots=True)
class Attempts:
    """What the attempts at one call share.

    Attributes:
        policy: How often, and how long to wait in between.
        budget: What the retries are taken from.
        several: Whether another server may answer where one does not.
        usual: How long such calls take; an attempt is not given up sooner.
        on_retry: Called before each attempt but the first.
        on_refused: Called where an attempt would follow if the budget allowed it.
    """

    policy: RetryPolicy
    budget: RetryBudget
    several: bool
    usual: UsualTime
    on_retry: Callable[[], None]
    on_refused: Callable[[], None]

    def seconds_for(self, left: float, at_least: float = 0.0) -> float:
        """How long an attempt may take that is not the last, in seconds, with so many left for all.

        A server that hangs must not take the time in which another could answer; and servers that are slow, because
        there is too much to do, must not be made slower still by calls given up too soon. So an attempt is given up
        only for a retry that is sure to be allowed; and each gets twice the time of the one that was given up before
        it, until what would be left is less than that: then it gets all.

        Args:
            left: Seconds for this attempt and all that follow.
            at_least: Seconds that it should get because the one before it was given up.

        Returns:
            The seconds; less than `left` only with a retry reserved in the budget, which the caller gives back.
        """
        if not self.several:
            return left
        first = min(self.policy.attempt_timeout, left * _FIRST_SHARE)
        seconds = max(first, at_least, self.usual.backed_off)
        if seconds > left / 2:
            return left
        seconds = max(seconds, self.usual.at_most)
        return seconds if seconds < left and self.budget.reserve() else left


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
    at_least = 0.0
    for _ in range(policy.attempts - 1):
        given = attempts.seconds_for(left, at_least)
        try:
            return await _reserved(attempt, given, attempts.budget if given < left else None)
        except grpc.aio.AioRpcError as error:
            wait = 0.0
            if given < left and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                at_least = attempts.usual.give_up(given)
            else:
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


async def _reserved(
    attempt: Callable[[float], Awaitable[bytes]], seconds: float, budget: RetryBudget | None
) -> bytes:
    """Make an attempt, and then give back what was reserved for the next: whether there is one is seen by its end."""
    try:
        return await attempt(seconds)
    finally:
        if budget is not None:
            budget.give_back()


def _will_pass(error: grpc.aio.AioRpcError) -> bool:
    return error.code() in _PASSING and _TOO_LARGE not in (error.details() or "")
