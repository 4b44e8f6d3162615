"""How many retries there may be."""

from typing import Any

import pytest

from proto_client import RetryBudgetSettings
from proto_client.retry_budget import RetryBudget
from tests.proto_client.clock import Clock


def spend(budget: RetryBudget) -> int:
    """Take all there is."""
    count = 0
    while budget.withdraw():
        count += 1
    return count


def test_it_is_full_at_first_and_holds_no_more_than_the_burst() -> None:
    clock = Clock()
    budget = RetryBudget(RetryBudgetSettings(burst=30), clock)
    clock.turn(3600)
    for _ in range(1000):
        budget.deposit()
    assert spend(budget) == 30
    assert not budget.withdraw()


def test_a_share_of_the_calls_may_be_repeated() -> None:
    budget = RetryBudget(RetryBudgetSettings(share=0.25, per_second=0, burst=50), Clock())
    spend(budget)
    for _ in range(100):
        budget.deposit()
    assert spend(budget) == 25


def test_and_some_a_second_besides() -> None:
    clock = Clock()
    budget = RetryBudget(RetryBudgetSettings(share=0, per_second=2, burst=50), clock)
    spend(budget)
    clock.turn(4.5)
    assert spend(budget) == 9


def test_a_server_that_fails_every_call_gets_little_more_than_its_calls() -> None:
    """10,000 calls within 10 s, each of which would be tried four times: the budget lets 2,356 retries through."""
    clock = Clock()
    budget = RetryBudget(RetryBudgetSettings(), clock)
    retries = 0
    for _ in range(10_000):
        clock.turn(0.001)
        budget.deposit()
        retries += sum(budget.withdraw() for _ in range(3))
    assert retries == pytest.approx(256 + 0.2 * 10_000 + 10 * 10, abs=1)


def test_what_is_reserved_is_nobody_elses_until_it_is_given_back() -> None:
    budget = RetryBudget(RetryBudgetSettings(share=0, per_second=0, burst=3), Clock())
    assert budget.reserve()
    assert budget.reserve()
    assert budget.tokens == 3
    assert spend(budget) == 1
    assert not budget.reserve()
    budget.give_back()
    assert budget.withdraw()
    budget.give_back()
    assert budget.tokens == 1


def test_what_is_reserved_leaves_room_to_come_back() -> None:
    clock = Clock()
    budget = RetryBudget(RetryBudgetSettings(share=0, per_second=1, burst=3), clock)
    assert budget.reserve()
    clock.turn(3600)
    assert spend(budget) == 2
    budget.give_back()
    assert spend(budget) == 1


@pytest.mark.parametrize("wrong", [{"share": -0.1}, {"per_second": -1}, {"burst": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        RetryBudgetSettings(**wrong)
