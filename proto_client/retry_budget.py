"""How many retries a client may make, so that a server in trouble is not given several times its usual work.

After Finagle's RetryBudget (https://finagle.github.io/blog/2016/02/08/retry-budgets): a share of the calls may be
repeated, and a few a second besides, so that a client with few calls can repeat them at all. Here it is one bucket
of tokens; a bound on what it holds takes the place of Finagle's tokens that expire.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["RetryBudget", "RetryBudgetSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudgetSettings:
    """What the budget allows.

    Attributes:
        share: Retries for each call, in the long run.
        per_second: Retries a second on top of that.
        burst: The most that are saved up: so many calls may fail and be repeated at the same moment, when one of
            two servers dies say. It should be at least as many as there are calls in flight at a time: each of them
            reserves one where there are several servers.

    Raises:
        ValueError: A value is out of range.
    """

    share: float = 0.2
    per_second: float = 10.0
    burst: int = 256

    def __post_init__(self) -> None:
        if self.share < 0 or self.per_second < 0:
            raise ValueError("share and per_second must not be negative.")
        if self.burst < 1:
            raise ValueError("burst must be at least 1.")


class RetryBudget:
    """A bucket of tokens, full at first: calls and time put tokens in, each retry takes one out.

    A token may be reserved for a retry that may not come to be, so that it can be relied upon.

    Args:
        settings: What it allows.
        clock: Seconds that only grow.
    """

    def __init__(self, settings: RetryBudgetSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._tokens = float(settings.burst)
        self._reserved = 0
        self._at = clock()

    @property
    def tokens(self) -> float:
        """How many retries could be made now, the reserved ones included; as of the last call or retry."""
        return self._tokens + self._reserved

    def deposit(self) -> None:
        """A call begins."""
        self._add(self._settings.share)

    def withdraw(self) -> bool:
        """Take what a retry costs; False where the budget is spent."""
        self._add(0.0)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def reserve(self) -> bool:
        """Set aside what a retry costs, until `give_back`; False where the budget is spent."""
        if not self.withdraw():
            return False
        self._reserved += 1
        return True

    def give_back(self) -> None:
        """Put back what was reserved; a retry that follows in the same turn of the loop is sure to find it."""
        self._reserved -= 1
        self._tokens += 1

    def _add(self, tokens: float) -> None:
        now = self._clock()
        # What is reserved may come back, and there must be room for it.
        room = self._settings.burst - self._reserved
        self._tokens = min(self._tokens + tokens + (now - self._at) * self._settings.per_second, room)
        self._at = now
