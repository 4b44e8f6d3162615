"""How often a call is repeated, and with how much time left."""

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from proto_client import RetryPolicy
from proto_client.retrying import with_retries

QUICK = RetryPolicy(attempts=3, initial_backoff=0.01, max_backoff=0.01)


class Scripted:
    """Attempts that end as told, the last one for ever."""

    def __init__(self, *ends: grpc.StatusCode) -> None:
        self._ends = list(ends)
        self.seconds: list[float] = []
        self.retries = 0

    async def attempt(self, seconds: float) -> bytes:
        self.seconds.append(seconds)
        code = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        if code is not grpc.StatusCode.OK:
            raise AioRpcError(code, Metadata(), Metadata(), "scripted")
        return b"reply"

    def on_retry(self) -> None:
        self.retries += 1

    async def run(self, policy: RetryPolicy, seconds: float) -> bytes:
        return await with_retries(self.attempt, policy=policy, seconds=seconds, on_retry=self.on_retry)


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
