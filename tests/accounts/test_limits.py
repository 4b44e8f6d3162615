"""What holds of every limiter, in memory and in Redis."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from accounts.limits import Decision, Limiter, MemoryLimiter, Places, Quota, Rate, Rule
from accounts.limits.shared import RedisLimiter

DAY = 86_400
# Refilled so slowly that no test sees it.
RATE = Rate("rate", amount=1, seconds=DAY, burst=5)
QUOTA = Quota("quota", quota=10, seconds=DAY)
PLACES = Places("places", quota=3, lease_seconds=600)
ALL: Sequence[Rule] = (RATE, QUOTA, PLACES)


@pytest.fixture(params=["memory", "redis"])
async def limiter(request: pytest.FixtureRequest) -> AsyncIterator[Limiter]:
    made: Limiter = MemoryLimiter()
    if request.param == "redis":
        made = RedisLimiter(request.getfixturevalue("redis_url"), timeout=10)
    yield made
    await made.close()


def remaining(decision: Decision) -> dict[str, int]:
    return {standing.rule.name: standing.remaining for standing in decision.standings}


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)
async def test_exactly_as_many_pass_as_there_are_and_each_subject_has_its_own(
    limiter: Limiter, rule: Rule
) -> None:
    for left in reversed(range(rule.quota)):
        decision = await limiter.hit("a", [rule])
        assert decision.allowed
        assert (decision.retry_after, remaining(decision)) == (0, {rule.name: left})
    for _ in range(3):
        decision = await limiter.hit("a", [rule])
        assert not decision.allowed
        assert [standing.rule for standing in decision.refused_by] == [rule]
        assert decision.retry_after >= 1
        assert remaining(decision) == {rule.name: 0}
    assert (await limiter.hit("b", [rule])).allowed


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)
async def test_exactly_as_many_pass_at_the_same_time(limiter: Limiter, rule: Rule) -> None:
    decisions = await asyncio.gather(*(limiter.hit("a", [rule]) for _ in range(50)))
    assert sum(decision.allowed for decision in decisions) == rule.quota


async def test_where_one_refuses_nothing_is_taken_from_the_others(limiter: Limiter) -> None:
    for _ in range(3):
        await limiter.hit("a", ALL)
    for _ in range(20):
        decision = await limiter.hit("a", ALL)
        assert [standing.rule for standing in decision.refused_by] == [PLACES]
        assert remaining(decision) == {"rate": 2, "quota": 7, "places": 0}
        # Nobody knows when a place becomes free.
        assert decision.retry_after == 1


async def test_a_hit_costs_what_it_says(limiter: Limiter) -> None:
    assert remaining(await limiter.hit("a", ALL, {"quota": 7})) == {"rate": 4, "quota": 3, "places": 2}
    refused = await limiter.hit("a", ALL, {"quota": 4})
    assert [standing.rule for standing in refused.refused_by] == [QUOTA]
    assert not refused.impossible
    assert remaining(await limiter.hit("a", ALL, {"quota": 3, "rate": 2})) == {
        "rate": 2,
        "quota": 0,
        "places": 1,
    }


async def test_a_hit_that_costs_nothing_only_looks(limiter: Limiter) -> None:
    nothing = dict.fromkeys(("rate", "quota", "places"), 0)
    for _ in range(2):
        decision = await limiter.hit("a", ALL, nothing)
        assert decision.allowed
        assert remaining(decision) == {"rate": 5, "quota": 10, "places": 3}
    await limiter.hit("a", ALL)
    assert remaining(await limiter.hit("a", ALL, nothing)) == {"rate": 4, "quota": 9, "places": 2}


async def test_what_costs_more_than_there_ever_is_is_named(limiter: Limiter) -> None:
    decision = await limiter.hit("a", ALL, {"quota": 11})
    assert not decision.allowed
    assert decision.impossible == (QUOTA,)


async def test_places_and_what_was_not_needed_come_back(limiter: Limiter) -> None:
    first = await limiter.hit("a", ALL, {"quota": 6})
    second = await limiter.hit("a", ALL)
    await limiter.release(first, {"quota": 4})
    await limiter.release(first)
    looked = await limiter.hit("a", ALL, dict.fromkeys(("rate", "quota", "places"), 0))
    assert remaining(looked) == {"rate": 3, "quota": 7, "places": 2}
    await limiter.release(second)
    assert remaining(await limiter.hit("a", ALL)) == {"rate": 2, "quota": 6, "places": 2}


async def test_what_was_never_taken_is_not_given_back(limiter: Limiter) -> None:
    decision = await limiter.hit("a", [QUOTA])
    await limiter.release(decision, {"quota": 100})
    assert remaining(await limiter.hit("a", [QUOTA])) == {"quota": 9}


async def test_a_lease_that_nobody_ends_ends_by_itself(limiter: Limiter) -> None:
    short = Places("places", quota=1, lease_seconds=0.05)
    assert (await limiter.hit("a", [short])).allowed
    assert not (await limiter.hit("a", [short])).allowed
    async with asyncio.timeout(20):
        while not (await limiter.hit("a", [short])).allowed:
            await asyncio.sleep(0.01)


async def test_a_bucket_fills_again(limiter: Limiter) -> None:
    quick = Rate("quick", amount=20, seconds=1, burst=2)
    assert [(await limiter.hit("a", [quick], {"quick": 2})).allowed for _ in range(2)] == [True, False]
    async with asyncio.timeout(20):
        while not (await limiter.hit("a", [quick])).allowed:
            await asyncio.sleep(0.01)


async def test_resets_say_when_all_is_back(limiter: Limiter) -> None:
    decision = await limiter.hit("a", ALL, {"rate": 2})
    rate, quota, places = decision.standings
    assert 2 * DAY - 20 < rate.reset <= 2 * DAY
    assert 0 < quota.reset <= DAY
    assert places.reset == 0
    await limiter.hit("a", [RATE], {"rate": 3})
    refused = (await limiter.hit("a", [RATE])).standings[0]
    assert DAY - 20 < refused.wait <= DAY
