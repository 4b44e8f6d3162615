"""Limits counted in this process: exact in it, and unknown to any other."""

import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from accounts.limits.limiter import NOTHING, costs_of
from accounts.limits.rules import (
    MICROSECONDS,
    PLACE_WAIT_SECONDS,
    Decision,
    Places,
    Quota,
    Rate,
    Rule,
    Standing,
    impossible_rules,
)

MADE_BY: Final = "memory"
#: Counters kept at most, so that a flood of subjects (sign-ups, by address) cannot fill the memory.
MAX_COUNTERS: Final = 100_000
_SWEEP_EVERY: Final = 60 * MICROSECONDS


def steady_clock() -> Callable[[], int]:
    """Make a clock of microseconds since 1970 that does not jump when the machine's clock is set."""
    begin = time.time_ns() - time.monotonic_ns()
    return lambda: (begin + time.monotonic_ns()) // 1000


@dataclass(slots=True)
class _Counter:
    """A rule's state for one subject.

    Attributes:
        expires: When it says nothing any more, in microseconds.
        value: When the bucket is full again (a rate), or what is used (a quota).
        window: The quota's window.
        leases: Expiry of each place that is held.
    """

    expires: int = 0
    value: int = 0
    window: int = 0
    leases: dict[str, int] = field(default_factory=dict)


class MemoryLimiter:
    """See `Limiter`. For one event loop: nothing is awaited between looking and taking.

    Args:
        now: Microseconds since 1970.
        max_counters: How many counters are kept; beyond it, those that would end soonest are dropped.
    """

    def __init__(self, now: Callable[[], int] | None = None, max_counters: int = MAX_COUNTERS) -> None:
        self._now = now or steady_clock()
        self._max_counters = max_counters
        self._counters: dict[tuple[str, str], _Counter] = {}
        self._sweep_at = 0

    async def hit(self, subject: str, rules: Sequence[Rule], costs: Mapping[str, int] = NOTHING) -> Decision:
        """See `Limiter`."""
        now = self._now()
        if now >= self._sweep_at or len(self._counters) > self._max_counters:
            self._sweep(now)
        lease = uuid.uuid4().hex
        amounts = costs_of(rules, costs)
        counters = [self._counters.get((subject, rule.name)) or _Counter() for rule in rules]
        standings = [
            _look(rule, counter, cost, now)
            for rule, counter, cost in zip(rules, counters, amounts, strict=True)
        ]
        if all(standing.passed for standing in standings):
            for place, (rule, counter, cost) in enumerate(zip(rules, counters, amounts, strict=True)):
                if cost:
                    standings[place] = _take(rule, counter, cost, now, lease)
                    self._counters[subject, rule.name] = counter
        return Decision(subject, tuple(standings), lease, MADE_BY, impossible_rules(rules, amounts))

    async def release(self, decision: Decision, refunds: Mapping[str, int] = NOTHING) -> None:
        """See `Limiter`."""
        for standing in decision.standings:
            rule = standing.rule
            counter = self._counters.get((decision.subject, rule.name))
            if counter is None:
                continue
            if isinstance(rule, Places):
                counter.leases.pop(decision.lease, None)
            elif isinstance(rule, Quota) and counter.window == standing.window:
                counter.value = max(0, counter.value - refunds.get(rule.name, 0))

    async def close(self) -> None:
        """See `Limiter`; there is nothing to close."""

    def _sweep(self, now: int) -> None:
        self._sweep_at = now + _SWEEP_EVERY
        living = {key: counter for key, counter in self._counters.items() if counter.expires > now}
        if len(living) > self._max_counters:
            # A tenth more than must go, so that the next hit does not sort again.
            by_end = sorted(living, key=lambda key: living[key].expires, reverse=True)
            living = {key: living[key] for key in by_end[: self._max_counters * 9 // 10]}
        self._counters = living


def _look(rule: Rule, counter: _Counter, cost: int, now: int) -> Standing:
    """Say how it stands before anything is taken, and whether `cost` would pass."""
    match rule:
        case Rate():
            full_at = max(counter.value, now)
            wait = full_at + cost * rule.interval - rule.burst * rule.interval - now
            left = (now + rule.burst * rule.interval - full_at) // rule.interval
            return _standing(rule, wait <= 0, left, full_at - now, wait, 0)
        case Quota():
            length = rule.seconds * MICROSECONDS
            window = now // length
            used = counter.value if counter.window == window else 0
            ends = (window + 1) * length - now
            return _standing(rule, used + cost <= rule.quota, rule.quota - used, ends, ends, window)
        case Places():
            held = sum(expiry > now for expiry in counter.leases.values())
            wait = round(PLACE_WAIT_SECONDS * MICROSECONDS)
            return _standing(rule, held + bool(cost) <= rule.quota, rule.quota - held, 0, wait, 0)


def _standing(rule: Rule, passed: bool, left: int, reset: int, wait: int, window: int) -> Standing:
    return Standing(
        rule=rule,
        passed=passed,
        remaining=max(0, left),
        reset=reset / MICROSECONDS,
        wait=0.0 if passed else wait / MICROSECONDS,
        window=window,
    )


def _take(rule: Rule, counter: _Counter, cost: int, now: int, lease: str) -> Standing:
    match rule:
        case Rate():
            counter.value = max(counter.value, now) + cost * rule.interval
            counter.expires = counter.value
        case Quota():
            length = rule.seconds * MICROSECONDS
            window = now // length
            counter.value = cost + (counter.value if counter.window == window else 0)
            counter.window = window
            counter.expires = (window + 1) * length
        case Places():
            counter.leases = {name: expiry for name, expiry in counter.leases.items() if expiry > now}
            counter.expires = now + math.ceil(rule.lease_seconds * MICROSECONDS)
            counter.leases[lease] = counter.expires
    return _look(rule, counter, 0, now)
