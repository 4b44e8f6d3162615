"""What an observer of the client's calls is told."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from proto_client import BreakerState, ModelServerClient, ModelServerError
from proto_client.messages import ModelServerConfig
from tests.proto_client.conftest import TIMEOUT, picture
from tests.support.fake_backend import FakeBackend, Method


class Notes:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str, str]] = []
        self.retried: list[tuple[str, str]] = []
        self.refused_retries: list[tuple[str, str]] = []
        self.budget: list[float] = []
        self.states: list[BreakerState] = []
        self.refused: list[tuple[str, str]] = []
        self.seconds = 0.0

    def call_ended(self, *, method: str, model: str, code: grpc.StatusCode, seconds: float) -> None:
        self.ended.append((method, model, code.name))
        self.seconds += seconds

    def call_retried(self, *, method: str, model: str) -> None:
        self.retried.append((method, model))

    def retry_refused(self, *, method: str, model: str) -> None:
        self.refused_retries.append((method, model))

    def retry_budget_changed(self, *, target: str, retries: float) -> None:
        self.budget.append(retries)

    def breaker_changed(self, *, target: str, state: BreakerState) -> None:
        self.states.append(state)

    def breaker_refused(self, *, method: str, model: str) -> None:
        self.refused.append((method, model))


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def watched(backend: FakeBackend, notes: Notes) -> AsyncIterator[ModelServerClient]:
    # The signature's check would ask for metadata first, and that would be told too.
    async with ModelServerClient(backend.target, observer=notes, check_signatures=False) as client:
        yield client


async def test_every_call_is_told_once_with_its_model_and_code(
    watched: ModelServerClient, notes: Notes
) -> None:
    await watched.predict({"images": picture()}, model="sports", timeout=TIMEOUT)
    await watched.model_metadata("sports", timeout=TIMEOUT)
    await watched.model_status("sports", timeout=TIMEOUT)
    await watched.reload_config(ModelServerConfig(), timeout=TIMEOUT)
    with pytest.raises(ModelServerError):
        await watched.predict({"images": picture()}, model="none", timeout=TIMEOUT)
    assert notes.ended == [
        ("Predict", "sports", "OK"),
        ("GetModelMetadata", "sports", "OK"),
        ("GetModelStatus", "sports", "OK"),
        ("HandleReloadConfigRequest", "", "OK"),
        ("Predict", "none", "NOT_FOUND"),
    ]
    assert notes.seconds > 0
    assert not notes.retried


async def test_retries_are_told_one_by_one(
    backend: FakeBackend, watched: ModelServerClient, notes: Notes
) -> None:
    backend.fail(Method.PREDICT, grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted", times=2)
    await watched.predict({"images": picture()}, model="sports", timeout=TIMEOUT)
    assert notes.retried == [("Predict", "sports")] * 2
    assert notes.ended == [("Predict", "sports", "OK")]
    backend.fail(Method.RELOAD, grpc.StatusCode.UNAVAILABLE, "away")
    with pytest.raises(ModelServerError):
        await watched.reload_config(ModelServerConfig(), timeout=TIMEOUT)
    assert len(notes.retried) == 2


async def test_a_call_given_up_ends_as_cancelled(
    backend: FakeBackend, watched: ModelServerClient, notes: Notes
) -> None:
    with backend.hold(Method.PREDICT):
        task = asyncio.create_task(watched.predict({"images": picture()}, model="sports", timeout=TIMEOUT))
        await backend.wait_calls(Method.PREDICT, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert notes.ended == [("Predict", "sports", "CANCELLED")]


async def test_a_deadline_that_passes(backend: FakeBackend, watched: ModelServerClient, notes: Notes) -> None:
    with backend.hold(Method.PREDICT), pytest.raises(ModelServerError):
        await watched.predict({"images": picture()}, model="sports", timeout=0.1)
    assert notes.ended == [("Predict", "sports", "DEADLINE_EXCEEDED")]
    assert notes.seconds >= 0.1
