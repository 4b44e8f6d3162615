"""Sharing requests out: which of them belong to a given share."""

import math
import random
from typing import Final

#: Irrational, and badly approximated by fractions, so that its multiples spread evenly and never fall into step.
GOLDEN: Final = (math.sqrt(5) - 1) / 2
#: Another such number, for a second choice that must not go along with the first.
SILVER: Final = math.sqrt(2) - 1


class Share:
    """Says of each request in turn whether it belongs to the share.

    By the multiples of an irrational number, modulo 1: of any n requests in a row a share s gets n·s, give or take a
    few (the discrepancy is O(log n / n); Kuipers and Niederreiter, Uniform Distribution of Sequences, 1974, section
    2.3). A coin would be off by the root of n·s·(1−s): for a tenth of 2,000 requests by 13 of 200. Every tenth
    request would be exact, but would fall into step with callers that send ten cameras' pictures in turn. Nothing of
    the request goes into it, so no caller and no picture is bound to a version.

    Args:
        share: From 0 (none) to 1 (all).
        step: The irrational number.
        start: Where to begin, 0 to 1; by default anywhere, so that several processes are not in step either.
    """

    def __init__(self, share: float, *, step: float = GOLDEN, start: float | None = None) -> None:
        self._share = share
        self._step = step
        # Not a secret, so no cryptographic randomness.
        self._place = random.random() if start is None else start  # noqa: S311

    def takes_next(self) -> bool:
        """Whether the next request belongs to the share."""
        if self._share <= 0:
            return False
        self._place = (self._place + self._step) % 1.0
        return self._place < self._share
