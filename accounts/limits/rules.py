"""What can be limited, and what a limiter says when asked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MICROSECONDS: Final = 1_000_000
#: Seconds until a place may be free again: nobody can know, so this is only a polite pause.
PLACE_WAIT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `burst` at once, refilled evenly with `amount` every `seconds`.

    It is counted by the generic cell rate algorithm, virtual scheduling form (ITU-T Recommendation I.371, annex A):
    one number a subject, the time at which its bucket will be full again. Times are whole microseconds, so that
    exactly `burst` pass and rounding adds up to nothing.

    Attributes:
        name: Unique among the rules of one `hit`.
        amount: How much is refilled in `seconds`.
        seconds: In which time.
        burst: The bucket's size.
    """

    name: str
    amount: int
    seconds: float
    burst: int

    @property
    def interval(self) -> int:
        """Microseconds in which one unit comes back."""
        return math.ceil(self.seconds * MICROSECONDS / self.amount)

    @property
    def quota(self) -> int:
        """The most that can ever pass at once."""
        return self.burst

    @property
    def window(self) -> int:
        """Seconds, rounded up, in which an empty bucket becomes full: `burst` in this time is the sustained rate."""
        return math.ceil(self.burst * self.interval / MICROSECONDS)


@dataclass(frozen=True, slots=True)
class Quota:
    """So much in each window of time; windows begin at whole multiples since 1970, those of a day at 00:00 UTC.

    Attributes:
        name: Unique among the rules of one `hit`.
        quota: How much in a window.
        seconds: The window's length, whole seconds.
    """

    name: str
    quota: int
    seconds: int

    @property
    def window(self) -> int:
        """The window's length in seconds."""
        return self.seconds


@dataclass(frozen=True, slots=True)
class Places:
    """So many at the same time. Each holds a lease, which ends by itself where its holder died.

    Attributes:
        name: Unique among the rules of one `hit`.
        quota: How many places there are.
        lease_seconds: How long one is held at most.
    """

    name: str
    quota: int
    lease_seconds: float


Rule = Rate | Quota | Places


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subject stands with one rule, after the decision.

    Attributes:
        rule: The rule.
        passed: Whether this rule would have let the hit pass.
        remaining: What is left, at least 0.
        reset: Seconds until all of it is back; 0 for places, which come back when their holders leave.
        wait: Seconds until the same hit would pass; 0 where it did.
        window: Which window a quota was taken from: what is given back must go there. 0 for the other kinds.
    """

    rule: Rule
    passed: bool
    remaining: int
    reset: float
    wait: float
    window: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What a limiter decided: all rules let the hit pass, or nothing was taken from any.

    Attributes:
        subject: Who was counted.
        standings: One for each rule, in their order.
        lease: Names the places that are held.
        made_by: Which limiter counted it; it must be given back to the same.
        impossible: The rules that will never let such a hit pass, because it costs more than there ever is.
    """

    subject: str
    standings: tuple[Standing, ...]
    lease: str
    made_by: str
    impossible: tuple[Rule, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the hit passed."""
        return all(standing.passed for standing in self.standings)

    @property
    def refused_by(self) -> tuple[Standing, ...]:
        """The standings that stood in the way; empty where it passed."""
        return tuple(standing for standing in self.standings if not standing.passed)

    @property
    def retry_after(self) -> int:
        """Whole seconds after which the same hit can pass, at least 1; 0 where it did."""
        waits = [standing.wait for standing in self.refused_by]
        return max(1, math.ceil(max(waits))) if waits else 0


def impossible_rules(rules: Sequence[Rule], costs: Sequence[int]) -> tuple[Rule, ...]:
    """Say which rules can never let a hit of this cost pass."""
    return tuple(rule for rule, cost in zip(rules, costs, strict=True) if cost > rule.quota)
