"""The client's breaker in front of a server that hangs, is away, is busy, and comes back."""

import asyncio
import logging
from collections.abc import AsyncIterator

import grpc
import pytest

from proto_client import (
    BreakerSettings,
    BreakerState,
    ChannelSettings,
    CircuitOpen,
    DeadlineExceeded,
    ModelNotFound,
    ModelServerBusy,
    ModelServerClient,
    ModelServerError,
    ModelServerUnavailable,
    RetryPolicy,
)
from tests.proto_client.clock import Clock
from tests.proto_client.conftest import TIMEOUT, picture
from tests.proto_client.test_client_faults import FULL_QUEUE
from tests.proto_client.test_observer import Notes
from tests.support.fake_backend import FakeBackend, Method

SETTINGS = ChannelSettings(
    retry=RetryPolicy(attempts=1, attempt_timeout=0.5),
    breaker=BreakerSettings(min_calls=3, open_seconds=60, min_wait=0.05),
)
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Scene:
    """A client whose breaker goes by a clock that the tests turn, and what its observer was told."""

    def __init__(self, client: ModelServerClient, clock: Clock, notes: Notes) -> None:
        self.client = client
        self.clock = clock
        self.notes = notes

    async def predict(self, timeout: float = TIMEOUT) -> int:  # noqa: ASYNC109 - as the client has it
        return (await self.client.predict({"images": picture()}, model="sports", timeout=timeout)).version

    async def fail(self, kind: type[ModelServerError], times: int, timeout: float = TIMEOUT) -> None:  # noqa: ASYNC109
        ended = await asyncio.gather(*(self.predict(timeout) for _ in range(times)), return_exceptions=True)
        assert [type(end) for end in ended] == [kind] * times


@pytest.fixture
async def scene(backend: FakeBackend) -> AsyncIterator[Scene]:
    clock, notes = Clock(), Notes()
    async with ModelServerClient(
        backend.target, settings=SETTINGS, observer=notes, check_signatures=False, clock=clock
    ) as client:
        yield Scene(client, clock, notes)


async def test_a_server_that_hangs_opens_it_and_is_left_in_peace(backend: FakeBackend, scene: Scene) -> None:
    with backend.hold(Method.PREDICT):
        await scene.fail(DeadlineExceeded, 3, timeout=0.1)
        assert scene.client.breaker_state is OPEN
        await backend.wait_cancelled(Method.PREDICT, 3)
        for _ in range(20):
            await scene.fail(CircuitOpen, 1)
    assert backend.calls[Method.PREDICT] == 3
    assert scene.notes.refused == [("Predict", "sports")] * 20
    # What was not sent did not end either.
    assert len(scene.notes.ended) == 3


async def test_it_closes_by_itself_when_the_server_answers_again(
    backend: FakeBackend, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "proto_client")
    with backend.hold(Method.PREDICT):
        await scene.fail(DeadlineExceeded, 3, timeout=0.1)
    # Of three, where the machine is quick: what takes too long to connect is not sent.
    sent = backend.calls[Method.PREDICT]
    scene.clock.turn(59.9)
    await scene.fail(CircuitOpen, 1)
    scene.clock.turn(0.2)
    assert await scene.predict() == 1
    assert scene.notes.states == [CLOSED, OPEN, HALF_OPEN, CLOSED]
    opened, closed = (record.getMessage() for record in caplog.records if "breaker" in record.getMessage())
    assert opened.startswith(f"{backend.target} does not answer; the breaker is open (DEADLINE_EXCEEDED: ")
    assert closed == f"{backend.target} answers again; the breaker is closed"
    assert backend.calls[Method.PREDICT] == sent + 1


async def test_one_probe_at_a_time_and_it_does_not_wait_for_long(backend: FakeBackend, scene: Scene) -> None:
    with backend.hold(Method.PREDICT):
        await scene.fail(DeadlineExceeded, 3, timeout=0.1)
        scene.clock.turn(60)
        # Its caller would have waited for 20 s.
        probing = asyncio.create_task(scene.predict())
        await backend.wait_calls(Method.PREDICT, 4)
        await scene.fail(CircuitOpen, 5)
        with pytest.raises(CircuitOpen):
            await asyncio.wait_for(probing, 10)
        assert scene.client.breaker_state is OPEN
    assert backend.calls[Method.PREDICT] == 4


async def test_a_probe_whose_caller_goes_away_makes_room_for_the_next(
    backend: FakeBackend, scene: Scene
) -> None:
    with backend.hold(Method.PREDICT):
        await scene.fail(DeadlineExceeded, 3, timeout=0.1)
        scene.clock.turn(60)
        probing = asyncio.create_task(scene.predict())
        await backend.wait_calls(Method.PREDICT, 4)
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
    assert scene.client.breaker_state is HALF_OPEN
    assert await scene.predict() == 1


async def test_a_server_that_is_away_opens_it_and_the_look_at_the_versions_tells_when_it_is_back(
    backend: FakeBackend, scene: Scene
) -> None:
    await backend.stop()
    await scene.fail(ModelServerUnavailable, 3)
    assert scene.client.breaker_state is OPEN
    with pytest.raises(ModelServerUnavailable):
        await scene.client.model_metadata("sports", timeout=TIMEOUT)
    await backend.start()
    async with asyncio.timeout(30):
        while True:
            try:
                await scene.client.model_metadata("sports", timeout=TIMEOUT)
            except ModelServerUnavailable:
                continue
            break
    # Not a second of the sixty has passed.
    assert await scene.predict() == 1
    assert scene.client.breaker_state is CLOSED


async def test_the_look_at_the_versions_goes_on_while_it_is_open(backend: FakeBackend, scene: Scene) -> None:
    with backend.hold(Method.PREDICT):
        await scene.fail(DeadlineExceeded, 3, timeout=0.1)
        assert (await scene.client.model_metadata("sports", timeout=TIMEOUT)).version == 1
        # It answered all along, so that it answers is no news.
        assert scene.client.breaker_state is OPEN
        await scene.fail(CircuitOpen, 1)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted", ModelServerBusy),
        (grpc.StatusCode.UNAVAILABLE, FULL_QUEUE, ModelServerUnavailable),
        (grpc.StatusCode.NOT_FOUND, "Servable not found", ModelNotFound),
        (grpc.StatusCode.INTERNAL, "oh", ModelServerError),
    ],
)
async def test_a_server_that_answers_is_alive_whatever_it_says(
    backend: FakeBackend, scene: Scene, code: grpc.StatusCode, message: str, kind: type[ModelServerError]
) -> None:
    backend.fail(Method.PREDICT, code, message)
    await scene.fail(kind, 20)
    assert scene.client.breaker_state is CLOSED


async def test_short_deadlines_of_some_do_not_close_the_service_to_others(
    backend: FakeBackend, scene: Scene
) -> None:
    with backend.hold(Method.PREDICT):
        await scene.fail(DeadlineExceeded, 20, timeout=0.02)
    assert scene.client.breaker_state is CLOSED


async def test_it_can_be_switched_off(backend: FakeBackend) -> None:
    settings = ChannelSettings(
        retry=RetryPolicy(attempts=1), breaker=BreakerSettings(enabled=False, min_calls=1)
    )
    await backend.stop()
    async with ModelServerClient(backend.target, settings=settings, check_signatures=False) as client:
        for _ in range(5):
            with pytest.raises(ModelServerUnavailable) as caught:
                await client.predict({"images": picture()}, model="sports", timeout=TIMEOUT)
            assert not isinstance(caught.value, CircuitOpen)
