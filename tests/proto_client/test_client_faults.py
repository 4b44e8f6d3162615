"""The client when the server is busy, slow, away or comes back, and when calls are given up."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from proto_client import (
    ChannelSettings,
    DeadlineExceeded,
    ModelServerBusy,
    ModelServerClient,
    ModelServerError,
    ModelServerUnavailable,
    RetryPolicy,
)
from proto_client.messages import ModelServerConfig
from tests.proto_client.conftest import TIMEOUT, picture
from tests.support.fake_backend import FakeBackend, Method

FULL_QUEUE = (
    "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and"
    " max_enqueued_batches is 2"
)


CALLS: dict[Method, Callable[[ModelServerClient], Any]] = {
    Method.PREDICT: lambda client: client.predict({"images": picture()}, model="sports", timeout=TIMEOUT),
    Method.METADATA: lambda client: client.model_metadata("sports", timeout=TIMEOUT),
    Method.STATUS: lambda client: client.model_status("sports", timeout=TIMEOUT),
}
FAULTS = [
    (grpc.StatusCode.UNAVAILABLE, FULL_QUEUE, ModelServerUnavailable),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted", ModelServerBusy),
]


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize(("code", "message", "kind"), FAULTS)
async def test_passing_faults_are_retried_until_one_succeeds(
    backend: FakeBackend,
    client: ModelServerClient,
    method: Method,
    code: grpc.StatusCode,
    message: str,
    kind: type[ModelServerError],
) -> None:
    backend.fail(method, code, message, times=3)
    await CALLS[method](client)
    assert backend.calls[method] == 4


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize(("code", "message", "kind"), FAULTS)
@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_lasting_faults_end_after_the_attempts(
    backend: FakeBackend,
    method: Method,
    code: grpc.StatusCode,
    message: str,
    kind: type[ModelServerError],
    attempts: int,
) -> None:
    backend.fail(method, code, message)
    settings = ChannelSettings(retry=RetryPolicy(attempts=attempts))
    async with ModelServerClient(backend.target, settings=settings) as client:
        with pytest.raises(kind) as caught:
            await CALLS[method](client)
    assert (caught.value.code, caught.value.message) == (code, message)
    assert backend.calls[method] == attempts


@pytest.mark.parametrize("code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL])
async def test_other_faults_are_not_retried(
    backend: FakeBackend, client: ModelServerClient, code: grpc.StatusCode
) -> None:
    backend.fail(Method.PREDICT, code, "no")
    with pytest.raises(ModelServerError, match="no"):
        await CALLS[Method.PREDICT](client)
    assert backend.calls[Method.PREDICT] == 1


async def test_the_deadline_bounds_the_retries(backend: FakeBackend) -> None:
    backend.fail(Method.PREDICT, grpc.StatusCode.UNAVAILABLE, "later")
    # Without the deadline the second attempt would come minutes later.
    settings = ChannelSettings(retry=RetryPolicy(initial_backoff=600, max_backoff=600))
    async with ModelServerClient(backend.target, settings=settings) as client:
        with pytest.raises(ModelServerUnavailable, match="later"):
            await client.predict({"images": picture()}, model="sports", timeout=0.5)
    assert backend.calls[Method.PREDICT] == 1


async def test_closing_between_two_attempts_ends_the_call(backend: FakeBackend) -> None:
    backend.fail(Method.PREDICT, grpc.StatusCode.UNAVAILABLE, "later")
    settings = ChannelSettings(retry=RetryPolicy(initial_backoff=0.2, max_backoff=0.2))
    client = ModelServerClient(backend.target, settings=settings)
    calling = asyncio.create_task(CALLS[Method.PREDICT](client))
    await backend.wait_calls(Method.PREDICT, 1)
    await client.close(grace=TIMEOUT)
    with pytest.raises(ModelServerError) as caught:
        await calling
    assert caught.value.code is grpc.StatusCode.CANCELLED


async def test_a_deadline_that_passes_at_the_server(backend: FakeBackend, client: ModelServerClient) -> None:
    with backend.hold(Method.PREDICT):
        with pytest.raises(DeadlineExceeded):
            await client.predict({"images": picture()}, model="sports", timeout=0.2)
        await backend.wait_cancelled(Method.PREDICT, 1)


async def test_cancelling_the_task_cancels_the_call_at_the_server(
    backend: FakeBackend, client: ModelServerClient
) -> None:
    with backend.hold(Method.PREDICT):
        task = asyncio.create_task(CALLS[Method.PREDICT](client))
        await backend.wait_calls(Method.PREDICT, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await backend.wait_cancelled(Method.PREDICT, 1)
    await CALLS[Method.PREDICT](client)  # the channel is none the worse


async def test_an_absent_server_fails_without_waiting_for_the_deadline(backend: FakeBackend) -> None:
    await backend.stop()
    async with ModelServerClient(backend.target) as client:
        with pytest.raises(ModelServerUnavailable, match=r"^UNAVAILABLE: "):
            await client.model_status("sports", timeout=150)


async def test_a_server_that_comes_back_is_found_again(
    backend: FakeBackend, client: ModelServerClient
) -> None:
    await client.model_status("sports", timeout=TIMEOUT)
    await backend.stop()
    with pytest.raises(ModelServerUnavailable):
        await client.model_status("sports", timeout=TIMEOUT)
    await backend.start()
    async with asyncio.timeout(60):
        while True:
            try:
                await client.model_status("sports", timeout=TIMEOUT)
            except ModelServerUnavailable:
                continue
            break


async def test_replies_beyond_grpcs_own_limit_are_taken_up_to_ours(backend: FakeBackend) -> None:
    # 1,600 rows of 20 names of 200 bytes are 6.4 MB; gRPC's own limit is 4 MiB.
    backend.add_version("wide", 1, height=1, width=1, classes=[(str(n), "n" * 200) for n in range(20)])
    images = np.zeros((1600, 1, 1, 3), np.uint8)
    async with ModelServerClient(backend.target) as client:
        answer = await client.predict({"images": images}, model="wide", timeout=TIMEOUT)
        assert answer.outputs["class_names"].shape == (1600, 20)
    settings = ChannelSettings(max_receive_bytes=1_000_000, retry=RetryPolicy(attempts=1))
    async with ModelServerClient(backend.target, settings=settings) as client:
        with pytest.raises(ModelServerBusy, match="larger than max"):
            await client.predict({"images": images}, model="wide", timeout=TIMEOUT)


async def test_closing_ends_calls_in_flight_with_an_error_not_a_cancellation(backend: FakeBackend) -> None:
    client = ModelServerClient(backend.target)
    with backend.hold(Method.PREDICT):
        task = asyncio.create_task(CALLS[Method.PREDICT](client))
        await backend.wait_calls(Method.PREDICT, 1)
        await client.close()
        with pytest.raises(ModelServerError) as caught:
            await task
    assert caught.value.code is grpc.StatusCode.CANCELLED


async def test_a_closed_client_says_so(backend: FakeBackend) -> None:
    client = ModelServerClient(backend.target)
    await client.close()
    await client.close()
    with pytest.raises(ModelServerError, match="The client is closed"):
        await client.model_status("sports", timeout=TIMEOUT)


async def test_grace_lets_calls_in_flight_end(backend: FakeBackend) -> None:
    client = ModelServerClient(backend.target)
    with backend.hold(Method.PREDICT) as gate:
        task = asyncio.create_task(CALLS[Method.PREDICT](client))
        await backend.wait_calls(Method.PREDICT, 1)
        closing = asyncio.create_task(client.close(grace=TIMEOUT))
        gate.set()
        assert (await task).version == 1
        await closing


async def test_a_reload_is_never_repeated(backend: FakeBackend, client: ModelServerClient) -> None:
    backend.fail(Method.RELOAD, grpc.StatusCode.UNAVAILABLE, "later")
    with pytest.raises(ModelServerUnavailable):
        await client.reload_config(ModelServerConfig(), timeout=TIMEOUT)
    assert backend.calls[Method.RELOAD] == 1
