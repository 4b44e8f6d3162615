"""How often a call is repeated, and with how much time left."""

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from proto_client import RetryBudgetSettings, RetryPolicy
from proto_client.retry_budget import RetryBudget
from proto_client.retrying import Attempts, with_retries

QUICK = RetryPolicy(attempts=3, initial_backoff=0.01, max_backoff=0.01)


class Scripted:
    """Attempts that end as told, the last one for ever."""

    def __init__(self, *ends: grpc.StatusCode, details: str = "scripted") -> None:
        self._ends = list(ends)
        self._details = details
        self.seconds: list[float] = []
        self.retries = 0
        self.refused = 0

    async def attempt(self, seconds: float) -> bytes:
        self.seconds.append(seconds)
        code = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        if code is not grpc.StatusCode.OK:
            raise AioRpcError(code, Metadata(), Metadata(), self._details)
        return b"reply"

    def on_retry(self) -> None:
        self.retries += 1

    def on_refused(self) -> None:
        self.refused += 1

    async def run(
        self,
        policy: RetryPolicy,
        seconds: float,
        *,
        several: bool = False,
        usual: float = 0.0,
        budget: RetryBudget | None = None,
    ) -> bytes:
        budget = budget or RetryBudget(RetryBudgetSettings())
        attempts = Attempts(policy, budget, several, usual, self.on_retry, self.on_refused)
        return await with_retries(self.attempt, attempts, seconds)


async def test_every_attempt_gets_what_the_ones_before_it_left() -> None:
    calls = Scripted(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OK)
    assert await calls.run(QUICK, 60) == b"reply"
    first, second, third = calls.seconds
    assert first == 60
    # A wait is at least four fifths of the backoff.
    assert second <= first - 0.008
    assert third <= second - 0.008
    assert calls.retries == 2


async def test_the_last_fault_is_the_one_that_is_told() -> None:
    calls = Scripted(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(AioRpcError) as caught:
        await calls.run(QUICK, 60)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert (len(calls.seconds), calls.retries) == (3, 2)


async def test_a_fault_that_will_not_pass_ends_it() -> None:
    calls = Scripted(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    with pytest.raises(AioRpcError) as caught:
        await calls.run(QUICK, 60)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(calls.seconds) == 2


@pytest.mark.parametrize(("policy", "seconds"), [(RetryPolicy(attempts=1), 60.0), (QUICK, 0.005)])
async def test_no_retry_without_attempts_or_time_left(policy: RetryPolicy, seconds: float) -> None:
    calls = Scripted(grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(AioRpcError):
        await calls.run(policy, seconds)
    assert (len(calls.seconds), calls.retries) == (1, 0)


async def test_a_spent_budget_ends_it() -> None:
    budget = RetryBudget(RetryBudgetSettings(share=0, per_second=0, burst=1))
    calls = Scripted(grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(AioRpcError):
        await calls.run(QUICK, 60, budget=budget)
    assert (len(calls.seconds), calls.retries, calls.refused) == (2, 1, 1)


async def test_a_reply_above_our_own_limit_would_be_as_large_again() -> None:
    details = "CLIENT: Received message larger than max (5000000 vs. 4194304)"
    calls = Scripted(grpc.StatusCode.RESOURCE_EXHAUSTED, details=details)
    with pytest.raises(AioRpcError):
        await calls.run(QUICK, 60)
    assert len(calls.seconds) == 1


async def test_an_attempt_leaves_half_of_the_time_to_another_server() -> None:
    calls = Scripted(grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.OK)
    await calls.run(RetryPolicy(attempts=3, attempt_timeout=2), 3, several=True)
    assert calls.seconds == pytest.approx([1.5, 1.5, 3], abs=0.2)
    calls = Scripted(grpc.StatusCode.OK)
    await calls.run(RetryPolicy(attempts=3, attempt_timeout=2), 60, several=True)
    assert calls.seconds == [2]


async def test_an_attempt_is_not_given_up_before_its_usual_time() -> None:
    calls = Scripted(grpc.StatusCode.OK)
    await calls.run(QUICK, 10, several=True, usual=7.0)
    assert calls.seconds == [7]
    calls = Scripted(grpc.StatusCode.OK)
    await calls.run(QUICK, 10, several=True, usual=70.0)
    assert calls.seconds == [10]


async def test_an_attempt_gets_all_where_no_other_server_or_no_retry_could_follow() -> None:
    calls = Scripted(grpc.StatusCode.DEADLINE_EXCEEDED)
    with pytest.raises(AioRpcError):
        await calls.run(QUICK, 60, several=False)
    assert calls.seconds == [60]
    spent = RetryBudget(RetryBudgetSettings(share=0, per_second=0, burst=1))
    assert spent.withdraw()
    calls = Scripted(grpc.StatusCode.DEADLINE_EXCEEDED)
    with pytest.raises(AioRpcError):
        await calls.run(QUICK, 60, several=True, budget=spent)
    assert (calls.seconds, calls.refused) == ([60], 0)
