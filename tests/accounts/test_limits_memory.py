"""Limits in memory, by a clock that the test sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.limits import MemoryLimiter, Places, Quota, Rate
from accounts.limits.memory import steady_clock

SECOND = 1_000_000
DAY = 86_400


class Clock:
    def __init__(self, seconds: float = 1_000_000.0) -> None:
        self.now = round(seconds * SECOND)

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> MemoryLimiter:
    return MemoryLimiter(clock)


async def passed(limiter: MemoryLimiter, rule: Rate | Quota | Places, tries: int) -> int:
    return sum([(await limiter.hit("a", [rule])).allowed for _ in range(tries)])


async def test_a_rate_gives_its_burst_and_then_refills_evenly(clock: Clock, limiter: MemoryLimiter) -> None:
    rate = Rate("requests", amount=60, seconds=60, burst=10)
    assert rate.window == 10
    assert await passed(limiter, rate, 15) == 10
    refused = await limiter.hit("a", [rate])
    assert refused.retry_after == 1
    clock.forward(0.999_999)
    assert await passed(limiter, rate, 2) == 0
    clock.forward(0.000_001)
    assert await passed(limiter, rate, 2) == 1
    clock.forward(4)
    assert await passed(limiter, rate, 6) == 4
    clock.forward(3600)
    assert await passed(limiter, rate, 15) == 10


async def test_what_was_told_to_wait_passes_after_that_and_not_before(
    clock: Clock, limiter: MemoryLimiter
) -> None:
    rate = Rate("requests", amount=7, seconds=60, burst=3)
    await limiter.hit("a", [rate], {"requests": 3})
    wait = (await limiter.hit("a", [rate], {"requests": 2})).standings[0].wait
    clock.forward(wait - 0.000_001)
    assert not (await limiter.hit("a", [rate], {"requests": 2})).allowed
    clock.forward(0.000_001)
    assert (await limiter.hit("a", [rate], {"requests": 2})).allowed


async def test_a_day_begins_at_midnight_utc(clock: Clock, limiter: MemoryLimiter) -> None:
    quota = Quota("images", quota=3, seconds=DAY)
    clock.now = (100 * DAY - 1) * SECOND
    assert await passed(limiter, quota, 5) == 3
    refused = await limiter.hit("a", [quota])
    assert (refused.retry_after, refused.standings[0].reset) == (1, 1)
    clock.forward(1)
    first = await limiter.hit("a", [quota])
    assert first.allowed
    assert first.standings[0].window == 100


async def test_what_was_taken_yesterday_is_not_put_back_today(clock: Clock, limiter: MemoryLimiter) -> None:
    quota = Quota("images", quota=3, seconds=DAY)
    clock.now = (100 * DAY - 1) * SECOND
    yesterday = await limiter.hit("a", [quota])
    clock.forward(2)
    assert await passed(limiter, quota, 3) == 3
    await limiter.release(yesterday, {"images": 1})
    assert await passed(limiter, quota, 1) == 0


async def test_a_lease_ends_on_time(clock: Clock, limiter: MemoryLimiter) -> None:
    places = Places("concurrent", quota=2, lease_seconds=30)
    assert await passed(limiter, places, 3) == 2
    clock.forward(29.9)
    assert await passed(limiter, places, 1) == 0
    clock.forward(0.1)
    assert await passed(limiter, places, 3) == 2


async def test_what_says_nothing_any_more_is_forgotten(clock: Clock, limiter: MemoryLimiter) -> None:
    rate = Rate("requests", amount=1, seconds=1, burst=5)
    for number in range(100):
        await limiter.hit(str(number), [rate])
    assert len(limiter._counters) == 100
    clock.forward(61)
    await limiter.hit("a", [rate])
    assert len(limiter._counters) == 1


async def test_a_flood_of_subjects_does_not_fill_the_memory_and_those_that_end_last_are_kept(
    clock: Clock,
) -> None:
    limiter = MemoryLimiter(clock, max_counters=100)
    quota = Quota("images", quota=1, seconds=DAY)
    assert await passed(limiter, quota, 1) == 1
    rate = Rate("requests", amount=1, seconds=1, burst=5)
    for number in range(1000):
        await limiter.hit(str(number), [rate])
        assert len(limiter._counters) <= 101
    assert await passed(limiter, quota, 1) == 0


@given(
    amount=st.integers(1, 10_000),
    seconds=st.integers(1, 3600),
    burst=st.integers(1, 300),
    start=st.integers(0, 4_000_000_000_000_000),
)
async def test_exactly_the_burst_passes_whatever_the_figures(
    amount: int, seconds: int, burst: int, start: int
) -> None:
    limiter = MemoryLimiter(lambda: start)
    rate = Rate("requests", amount=amount, seconds=seconds, burst=burst)
    assert await passed(limiter, rate, burst + 5) == burst
    assert await limiter.hit("a", [rate], {"requests": 0})


@given(steps=st.lists(st.tuples(st.integers(0, 5 * SECOND), st.integers(1, 4)), max_size=60))
async def test_no_stretch_of_time_gives_more_than_burst_and_refill(steps: list[tuple[int, int]]) -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    rate = Rate("requests", amount=2, seconds=1, burst=4)
    taken: list[tuple[int, int]] = []
    for wait, cost in steps:
        clock.now += wait
        if (await limiter.hit("a", [rate], {"requests": cost})).allowed:
            taken.append((clock.now, cost))
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            length = taken[last][0] - taken[first][0]
            assert sum(cost for _, cost in taken[first : last + 1]) <= 4 + 2 * length / SECOND


def test_the_clock_never_goes_back() -> None:
    clock = steady_clock()
    times = [clock() for _ in range(1000)]
    assert times == sorted(times)
