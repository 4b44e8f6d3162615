"""The scheduler with a processing function that needs no model."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import grpc
import numpy as np
import pytest

from model_server.batching import BatchQueue, BatchScheduler, Outputs, Task
from model_server.batching_config import BatchingOptions
from model_server.errors import ServingError
from tests.model_server.waiting import eventually


class Recorder:
    """Notes the sizes of each batch, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self, tasks: Sequence[Task]) -> None:
        self.entered.set()
        assert self.gate.wait(10)
        self.batches.append([task.size for task in tasks])
        for task in tasks:
            task.future.set_result({})


class Bench:
    """A scheduler with one thread, and queues on it."""

    def __init__(self, options: BatchingOptions) -> None:
        self.scheduler = BatchScheduler(options)
        self.recorders: list[Recorder] = []

    def queue(self) -> tuple[BatchQueue, Recorder]:
        recorder = Recorder()
        self.recorders.append(recorder)
        return self.scheduler.add_queue(recorder), recorder

    def hold(self) -> Recorder:
        """Keeps the only thread busy until the recorder's gate is opened."""
        queue, recorder = self.queue()
        recorder.gate.clear()
        _submit(queue, self.scheduler.options.max_batch_size)
        assert recorder.entered.wait(10)
        return recorder


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(BatchingOptions(4, 0, 2, 1))
    yield made
    for recorder in made.recorders:
        recorder.gate.set()
    made.scheduler.stop()


def _submit(queue: BatchQueue, size: int) -> Future[Outputs]:
    task = Task({"x": np.zeros(size)}, size)
    queue.submit(task)
    return task.future


def test_what_comes_while_the_thread_is_busy_becomes_one_batch(bench: Bench) -> None:
    holder = bench.hold()
    queue, recorder = bench.queue()
    futures = [_submit(queue, size) for size in (1, 2, 1)]
    holder.gate.set()
    for future in futures:
        assert future.result(10) == {}
    assert recorder.batches == [[1, 2, 1]]


def test_a_task_that_does_not_fit_opens_the_next_batch(bench: Bench) -> None:
    holder = bench.hold()
    queue, recorder = bench.queue()
    futures = [_submit(queue, size) for size in (3, 2, 1)]
    holder.gate.set()
    for future in futures:
        future.result(10)
    assert recorder.batches == [[3], [2, 1]]


def test_queues_are_not_mixed_and_take_turns(bench: Bench) -> None:
    holder = bench.hold()
    first, first_recorder = bench.queue()
    second, second_recorder = bench.queue()
    futures = [_submit(queue, 4) for queue in (first, first, second)]
    holder.gate.set()
    for future in futures:
        future.result(10)
    assert first_recorder.batches == [[4], [4]]
    assert second_recorder.batches == [[4]]


def test_too_large_a_task_is_refused(bench: Bench) -> None:
    queue, _ = bench.queue()
    with pytest.raises(ServingError, match="Task size 5 is larger than maximum input batch size 4") as info:
        _submit(queue, 5)
    assert info.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_full_queue_refuses_and_a_cancelled_task_makes_room(bench: Bench) -> None:
    holder = bench.hold()
    queue, recorder = bench.queue()
    first, second = _submit(queue, 4), _submit(queue, 4)
    with pytest.raises(
        ServingError, match="currently 2 batches enqueued and max_enqueued_batches is 2"
    ) as info:
        _submit(queue, 4)
    assert info.value.code is grpc.StatusCode.UNAVAILABLE
    assert first.cancel()
    third = _submit(queue, 3)
    holder.gate.set()
    second.result(10)
    third.result(10)
    assert recorder.batches == [[4], [3]]


def test_a_batch_waits_for_its_timeout() -> None:
    scheduler = BatchScheduler(BatchingOptions(4, 3_600_000_000, 2, 1))
    recorder = Recorder()
    queue = scheduler.add_queue(recorder)
    first = _submit(queue, 1)
    # Full before its hour is over: it runs at once.
    second = _submit(queue, 3)
    first.result(10)
    second.result(10)
    assert recorder.batches == [[1, 3]]
    scheduler.stop()


def test_an_incomplete_batch_runs_after_its_timeout() -> None:
    scheduler = BatchScheduler(BatchingOptions(4, 1000, 2, 1))
    recorder = Recorder()
    _submit(scheduler.add_queue(recorder), 1).result(10)
    assert recorder.batches == [[1]]
    scheduler.stop()


def test_an_empty_task_waits_for_another(bench: Bench) -> None:
    queue, recorder = bench.queue()
    empty = _submit(queue, 0)
    other, _ = bench.queue()
    _submit(other, 1).result(10)
    assert not empty.done()
    _submit(queue, 1).result(10)
    empty.result(10)
    assert recorder.batches == [[0, 1]]


def test_a_removed_queue_is_forgotten(bench: Bench) -> None:
    queue, _ = bench.queue()
    bench.scheduler.remove_queue(queue)
    other, recorder = bench.queue()
    _submit(other, 1).result(10)
    eventually(lambda: recorder.batches == [[1]], "the other queue still runs")
