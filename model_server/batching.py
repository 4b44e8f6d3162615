"""Collecting concurrent runs into batches: the ``SharedBatchScheduler`` of TensorFlow, in threads.

Every (version, inputs, outputs) has a queue of its own, so a batch never mixes models, versions, signatures or sets
of outputs. All queues share the batch threads, which serve them in turn. A queue's last batch is open: tasks join
it until it is full or its first task has waited long enough.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

import grpc

from model_server.batching_config import BatchingOptions
from model_server.errors import ServingError, invalid_argument
from model_server.tensors import Array

Outputs = dict[str, Array]


@dataclass(eq=False)
class Task:
    """One run that waits for its batch.

    Attributes:
        feeds: Array of each fed tensor name, all with the same first dimension.
        size: That first dimension.
        future: Receives the task's part of each output. Cancelling it before the batch starts drops the task.
    """

    feeds: Mapping[str, Array]
    size: int
    future: Future[Outputs] = field(default_factory=Future)


class _Batch:
    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.size = 0
        self.opened = 0.0

    def add(self, task: Task) -> None:
        # The clock runs from the first task that is not empty: empty ones wait for another to join.
        if not self.size:
            self.opened = time.monotonic()
        self.tasks.append(task)
        self.size += task.size


class BatchQueue:
    """The tasks of one (version, inputs, outputs).

    Args:
        scheduler: The owner of the threads and of the lock.
        process: Runs one batch and settles the futures of its tasks.
    """

    def __init__(self, scheduler: "BatchScheduler", process: Callable[[Sequence[Task]], None]) -> None:
        self._scheduler = scheduler
        self._options = scheduler.options
        self.process = process
        self._batches: deque[_Batch] = deque([_Batch()])

    def submit(self, task: Task) -> None:
        """Queues a task.

        Raises:
            ServingError: INVALID_ARGUMENT when it is larger than a batch may be, UNAVAILABLE when the queue is full.
        """
        limit = self._options.max_batch_size
        if task.size > limit:
            raise invalid_argument(f"Task size {task.size} is larger than maximum input batch size {limit}")
        with self._scheduler.changed:
            if self._batches[-1].size + task.size > limit:
                if len(self._batches) >= self._options.max_enqueued_batches:
                    raise ServingError(
                        grpc.StatusCode.UNAVAILABLE,
                        "The batch scheduling queue to which this task was submitted is full; currently "
                        f"{len(self._batches)} batches enqueued and max_enqueued_batches is "
                        f"{self._options.max_enqueued_batches}",
                    )
                self._batches.append(_Batch())
            self._batches[-1].add(task)
            self._scheduler.changed.notify()
        task.future.add_done_callback(lambda future: self._drop(task) if future.cancelled() else None)

    def _drop(self, task: Task) -> None:
        """Takes a cancelled task out of the queue, so that it does not fill the place of a live one."""
        with self._scheduler.changed:
            for batch in self._batches:
                if task in batch.tasks:
                    batch.tasks.remove(task)
                    batch.size -= task.size
                    break
            while len(self._batches) > 1 and not self._batches[0].tasks:
                self._batches.popleft()

    def due(self) -> float | None:
        """When the first batch may run (monotonic seconds; in the past: now). None when there is none."""
        first = self._batches[0]
        if len(self._batches) > 1 or first.size >= self._options.max_batch_size:
            return 0.0
        return first.opened + self._options.batch_timeout_micros / 1e6 if first.size else None

    def take(self) -> list[Task]:
        """Takes the first batch out."""
        batch = self._batches.popleft()
        if not self._batches:
            self._batches.append(_Batch())
        return batch.tasks


class BatchScheduler:
    """The batch threads and the queues that they serve.

    Args:
        options: Sizes, waiting time and number of threads.
    """

    def __init__(self, options: BatchingOptions) -> None:
        self.options: Final = options
        self.changed: Final = threading.Condition()
        self._queues: deque[BatchQueue] = deque()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True)
            for number in range(options.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def add_queue(self, process: Callable[[Sequence[Task]], None]) -> BatchQueue:
        """Makes a queue. `process` runs in a batch thread and must settle every task, and never raise."""
        queue = BatchQueue(self, process)
        with self.changed:
            self._queues.append(queue)
        return queue

    def remove_queue(self, queue: BatchQueue) -> None:
        """Forgets a queue that nobody uses any more."""
        with self.changed:
            self._queues.remove(queue)

    def stop(self) -> None:
        """Ends the threads after the batches that they are running."""
        with self.changed:
            self._stopping = True
            self.changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self.changed:
                queue = self._next()
                if queue is None:
                    return
                tasks = queue.take()
            running = [task for task in tasks if task.future.set_running_or_notify_cancel()]
            if running:
                queue.process(running)

    def _next(self) -> BatchQueue | None:
        """Waits for a queue with a batch to run; the lock is held. None when stopping."""
        while not self._stopping:
            now = time.monotonic()
            soonest: float | None = None
            for queue in self._queues:
                due = queue.due()
                if due is not None and due <= now:
                    # To the back, so that a busy queue does not starve the others.
                    self._queues.remove(queue)
                    self._queues.append(queue)
                    return queue
                if due is not None:
                    soonest = due if soonest is None else min(soonest, due)
            self.changed.wait(None if soonest is None else soonest - now)
        return None
