"""How often a call is repeated, and with how much time left."""

import asyncio
from types import SimpleNamespace

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from proto_client import RetryBudgetSettings, RetryPolicy
from proto_client.retry_budget import RetryBudget
from proto_client.retrying import Attempts, with_retries
from proto_client.usual_time import UsualTime
from tests.proto_client.clock import Clock

QUICK = RetryPolicy(attempts=3, initial_backoff=0.01, max_backoff=0.01)


def fault(code: grpc.StatusCode, details: str = "scripted") -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata(), details)


def usually(seconds: float) -> UsualTime:
    """Of calls that have taken a third of it, with the deviation that the first one is given."""
    usual = UsualTime()
    if seconds:
        usual.add(seconds / 3)
    return usual


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
            raise fault(code, self._details)
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
        attempts = Attempts(policy, budget, several, usually(usual), self.on_retry, self.on_refused)
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


async def test_an_attempt_leaves_most_of_the_time_to_another_server() -> None:
    calls = Scripted(grpc.StatusCode.OK)
    await calls.run(RetryPolicy(attempts=3, attempt_timeout=2), 3, several=True)
    assert calls.seconds == [0.1875]
    calls = Scripted(grpc.StatusCode.OK)
    await calls.run(RetryPolicy(attempts=3, attempt_timeout=2), 60, several=True)
    assert calls.seconds == [2]


async def test_an_attempt_is_not_given_up_before_its_usual_time() -> None:
    calls = Scripted(grpc.StatusCode.OK)
    await calls.run(QUICK, 10, several=True, usual=7.0)
    assert calls.seconds == pytest.approx([7])
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


class SlowServers:
    """Answer after so many seconds of a clock that their calls turn; callers learn what is usual."""

    def __init__(self, clock: Clock, needs: float) -> None:
        self.needs = needs
        self.given: list[float] = []
        self._clock = clock
        self._attempts = Attempts(
            RetryPolicy(), RetryBudget(RetryBudgetSettings(), clock), True, UsualTime(), _nothing, _nothing
        )

    async def ask(self, seconds: float) -> float:
        """Call, and tell after how many seconds there was an answer."""
        self.given = []
        started = self._clock.now
        await with_retries(self._answer, self._attempts, seconds)
        return self._clock.now - started

    async def _answer(self, seconds: float) -> bytes:
        self.given.append(seconds)
        self._clock.turn(min(seconds, self.needs))
        if seconds < self.needs:
            raise fault(grpc.StatusCode.DEADLINE_EXCEEDED)
        self._attempts.usual.add(self.needs)
        return b"reply"


def _nothing() -> None:
    """Is told of retries."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the retries go by."""
    clock = Clock()
    monkeypatch.setattr("proto_client.retrying.time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.mark.parametrize(
    ("seconds", "given"),
    [(10, [0.625, 1.25, 2.5, 5.625]), (2, [0.125, 0.25, 0.5, 1.125]), (30, [1.875, 3.75, 7.5, 16.875])],
)
async def test_each_attempt_gets_twice_the_time_of_the_one_given_up_and_the_last_gets_most(
    clock: Clock, seconds: float, given: list[float]
) -> None:
    hung = SlowServers(clock, needs=100)
    with pytest.raises(AioRpcError):
        await hung.ask(seconds)
    assert hung.given == pytest.approx(given)


@pytest.mark.parametrize("needs", [0.2, 2.5, 4.5, 5.5])
async def test_servers_that_are_all_slow_are_waited_for_and_given_up_no_more(
    clock: Clock, needs: float
) -> None:
    servers = SlowServers(clock, needs)
    await servers.ask(10)
    # What was learnt from the last attempt holds for the next first one.
    assert await servers.ask(10) == pytest.approx(needs)
    assert len(servers.given) == 1


async def test_servers_that_have_all_become_slower_than_any_attempt_are_waited_for_after_a_few_calls(
    clock: Clock,
) -> None:
    servers = SlowServers(clock, needs=0.1)
    for _ in range(20):
        await servers.ask(10)
    servers.needs = 9.0
    sent = []
    for _ in range(2):
        with pytest.raises(AioRpcError):
            await servers.ask(10)
        sent.append(len(servers.given))
    assert sent == [4, 2]
    for _ in range(3):
        assert await servers.ask(10) == pytest.approx(9)
        assert len(servers.given) == 1


async def test_no_attempt_is_given_up_for_a_retry_that_another_call_takes() -> None:
    """Four calls begin while two retries are left: two attempts are cut short, and these two are repeated."""
    budget = RetryBudget(RetryBudgetSettings(share=0, per_second=0, burst=2))
    given: list[float] = []
    refused: list[None] = []
    begun = asyncio.Event()

    async def attempt(seconds: float) -> bytes:
        given.append(seconds)
        if len(given) == 4:
            begun.set()
        await begun.wait()
        if seconds < 6:
            raise fault(grpc.StatusCode.DEADLINE_EXCEEDED)
        return b"reply"

    def call() -> asyncio.Future[bytes]:
        attempts = Attempts(RetryPolicy(), budget, True, UsualTime(), _nothing, lambda: refused.append(None))
        return asyncio.ensure_future(with_retries(attempt, attempts, 20))

    assert await asyncio.gather(*(call() for _ in range(4))) == [b"reply"] * 4
    assert given == pytest.approx([1.25, 1.25, 20, 20, 20, 20], abs=0.5)
    assert (refused, budget.tokens) == ([], 0)


async def test_a_retry_that_is_not_made_stays_in_the_budget() -> None:
    budget = RetryBudget(RetryBudgetSettings(share=0, per_second=0, burst=1))
    calls = Scripted(grpc.StatusCode.OK)
    await calls.run(QUICK, 60, several=True, budget=budget)
    assert calls.seconds == [2]
    calls = Scripted(grpc.StatusCode.INTERNAL)
    with pytest.raises(AioRpcError, match="scripted"):
        await calls.run(QUICK, 60, several=True, budget=budget)
    assert calls.seconds == [2]
    assert budget.withdraw()


async def test_a_call_that_is_cancelled_leaves_its_retry_in_the_budget() -> None:
    budget = RetryBudget(RetryBudgetSettings(share=0, per_second=0, burst=1))
    begun = asyncio.Event()

    async def attempt(_: float) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b""

    attempts = Attempts(QUICK, budget, True, UsualTime(), _nothing, _nothing)
    calling = asyncio.ensure_future(with_retries(attempt, attempts, 60))
    await begun.wait()
    assert not budget.withdraw()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert budget.withdraw()


async def test_a_fault_at_once_uses_the_retry_that_was_reserved() -> None:
    budget = RetryBudget(RetryBudgetSettings(share=0, per_second=0, burst=1))
    calls = Scripted(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK)
    assert await calls.run(QUICK, 60, several=True, budget=budget) == b"reply"
    assert calls.seconds == pytest.approx([2, 60], abs=0.5)
    assert budget.tokens == 0
