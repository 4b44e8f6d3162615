"""Cancelling and releasing, over a real but tiny SavedModel."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from model_server.batching_config import BatchingOptions
from model_server.errors import ServingError
from model_server.harness import Handle, Harness, State
from model_server.runner import Runner
from model_server.servable import Servable, session_config
from tests.conformance.make_models import half_plus_two, unbatched
from tests.conformance.wire import floats, predict_request
from tests.model_server.waiting import eventually
from training.tiny import export_tiny


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models")
    half_plus_two(made / "hpt")
    unbatched(made / "unbatched")
    return made


class Version:
    """A loaded version whose runs can be held up."""

    def __init__(self, path: Path) -> None:
        self.servable = Servable(path)
        self.harness = Harness("hpt", 7, path)
        self.harness.state = State.AVAILABLE
        self.gate = threading.Event()
        self.gate.set()
        self.runs = 0
        self._run = self.servable.run
        self.servable.run = self._held  # type: ignore[method-assign, assignment]

    def _held(self, *arguments: Any) -> Any:
        self.runs += 1
        assert self.gate.wait(10)
        return self._run(*arguments)

    def handle(self) -> Handle[Servable]:
        self.harness.users += 1
        return Handle(self.harness, self.servable, threading.Condition())


@pytest.fixture
def version(directory: Path) -> Iterator[Version]:
    made = Version(directory / "hpt")
    yield made
    made.gate.set()
    eventually(lambda: made.harness.users == 0, "every handle comes back")
    made.servable.close()


@pytest.fixture(params=["alone", "batched"])
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    batching = BatchingOptions(4, 0, 2, 1) if request.param == "batched" else None
    made = Runner(threads=1, batching=batching)
    yield made
    made.stop()


def _request(*values: float) -> Any:
    return predict_request("hpt", {"x": floats(*values)})


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def test_the_handle_comes_back_after_an_answer_and_after_an_error(
    runner: Runner, version: Version
) -> None:
    assert await runner.predict(version.handle(), _request(1))
    with pytest.raises(ServingError, match="not found in request"):
        await runner.predict(version.handle(), predict_request("hpt", {"z": floats(1)}))
    await _until(lambda: version.harness.users == 0)


async def test_a_signature_of_a_tensor_that_is_not_there_fails_its_calls_alone(
    runner: Runner, version: Version
) -> None:
    broken = type(version.servable.signatures["serving_default"])()
    broken.CopyFrom(version.servable.signatures["serving_default"])
    broken.inputs["x"].name = "nope:0"
    version.servable.signatures = {**version.servable.signatures, "broken": broken}
    request = predict_request("hpt", {"x": floats(1)}, signature="broken")
    for _ in range(2):
        with pytest.raises(ServingError, match="nope:0") as info:
            await runner.predict(version.handle(), request)
        assert info.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert await runner.predict(version.handle(), _request(1))


async def test_a_batch_that_fails_as_nobody_foresaw_is_answered_and_its_thread_goes_on(
    version: Version, caplog: pytest.LogCaptureFixture
) -> None:
    runner = Runner(threads=1, batching=BatchingOptions(4, 0, 2, 1))
    good = version.servable.run

    def fails(*_arguments: Any) -> Any:
        raise StopIteration

    version.servable.run = fails  # type: ignore[method-assign, assignment]
    async with asyncio.timeout(60):
        with pytest.raises(ServingError, match="Batching failed: StopIteration") as info:
            await runner.predict(version.handle(), _request(1))
        assert info.value.code is grpc.StatusCode.INTERNAL
        assert "Traceback" in caplog.text
        await _until(lambda: version.harness.users == 0)
        version.servable.run = good  # type: ignore[method-assign]
        assert await runner.predict(version.handle(), _request(1))
    runner.stop()


async def test_a_cancelled_call_that_still_waits_is_dropped(runner: Runner, version: Version) -> None:
    version.gate.clear()
    running = asyncio.create_task(runner.predict(version.handle(), _request(1)))
    await _until(lambda: version.runs == 1)
    waiting = asyncio.create_task(runner.predict(version.handle(), _request(2)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await _until(lambda: version.harness.users == 1)
    version.gate.set()
    assert await running
    assert version.runs == 1


async def test_a_cancelled_call_that_runs_keeps_its_version_until_it_ends(
    runner: Runner, version: Version
) -> None:
    version.gate.clear()
    running = asyncio.create_task(runner.predict(version.handle(), _request(1)))
    await _until(lambda: version.runs == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert version.harness.users == 1
    version.gate.set()
    await _until(lambda: version.harness.users == 0)


def test_a_version_runs_and_closes_what_hangs_on_it(directory: Path) -> None:
    servable = Servable(directory / "hpt")
    closed: list[bool] = []
    servable.on_close(lambda: closed.append(True))
    signature = servable.signatures["serving_default"]
    (output,) = servable.run(
        {signature.inputs["x"].name: np.ones(2, np.float32)}, [signature.outputs["y"].name]
    )
    assert output.tolist() == [2.5, 2.5]
    servable.close()
    assert closed == [True]


def test_a_version_in_another_precision_answers_alike(tmp_path: Path) -> None:
    classes = [("1", "One"), ("2", "Two"), ("3", "Three")]
    place = export_tiny(tmp_path, version=1, height=16, width=24, classes=classes)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 24, 3), np.uint8)

    def ask(precision: str) -> list[NDArray[Any]]:
        servable = Servable(place, session_config(intra_op=1, inter_op=1, mixed_precision=precision))
        signature = servable.signatures["serving_default"]
        fetches = [signature.outputs[name].name for name in ("class_ids", "probabilities")]
        found = servable.run({signature.inputs["images"].name: pixels}, fetches)
        servable.close()
        return found

    (ids, probabilities), (others, moved) = ask(""), ask("bfloat16")
    assert ids.tolist() == others.tolist()
    # A CPU that computes in bfloat16 keeps eight bits of what it multiplies; another changes nothing.
    np.testing.assert_allclose(moved, probabilities, atol=0.05)


def test_what_is_no_saved_model(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="Could not find SavedModel"):
        Servable(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"this is no protobuf")
    with pytest.raises(ServingError, match="Could not load"):
        Servable(tmp_path)
