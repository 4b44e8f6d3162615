"""Running predictions: each alone in a thread, or many in a batch."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import grpc

from model_server.batching import BatchQueue, BatchScheduler, Outputs, Task
from model_server.batching_config import BatchingOptions
from model_server.errors import ServingError
from model_server.harness import Handle
from model_server.merging import batch_size, merge, split
from model_server.predict import Prediction, check_request, respond
from model_server.servable import Servable

_Names = tuple[str, ...]
_Queued = tuple[Prediction, Future[Outputs]]

_LOG: Final = logging.getLogger(__name__)


class Runner:
    """Turns requests into answers.

    Args:
        threads: Requests worked on at once.
        as_content: Answer numbers as ``tensor_content``.
        batching: How to batch; None runs every request alone.
    """

    def __init__(
        self, *, threads: int, as_content: bool = False, batching: BatchingOptions | None = None
    ) -> None:
        self._pool: Final = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._as_content = as_content
        self._batcher = Batcher(batching) if batching else None

    async def predict(self, handle: Handle[Servable], request: Any) -> bytes:
        """Answers one request. Cancelling drops it, unless the graph is running already.

        Args:
            handle: The version that answers. It is released when the work has ended or has been dropped.
            request: A ``tensorflow.serving.PredictRequest``.

        Returns:
            A serialised ``tensorflow.serving.PredictResponse``.

        Raises:
            ServingError: The request does not fit the model, or running it failed.
        """
        if self._batcher is None:
            running = self._pool.submit(self._alone, handle, request)
            running.add_done_callback(lambda _: handle.release())
            return await asyncio.wrap_future(running)
        # In steps, so that no thread waits while the batch fills.
        entering = self._pool.submit(self._enqueue, self._batcher, handle, request)
        entering.add_done_callback(lambda future: _release_when_done(future, handle))
        try:
            prediction, queued = await asyncio.wrap_future(entering)
        except asyncio.CancelledError:
            entering.add_done_callback(_abandon)
            raise
        values = await asyncio.wrap_future(queued)
        answering = self._pool.submit(
            respond, prediction, handle.version, values, as_content=self._as_content
        )
        return await asyncio.wrap_future(answering)

    def stop(self) -> None:
        """Ends the threads; what waits is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._batcher is not None:
            self._batcher.scheduler.stop()

    def _alone(self, handle: Handle[Servable], request: Any) -> bytes:
        prediction = check_request(handle.servable.signatures, request)
        arrays = handle.servable.run(prediction.feeds, prediction.fetches)
        values = dict(zip(prediction.fetches, arrays, strict=True))
        return respond(prediction, handle.version, values, as_content=self._as_content)

    @staticmethod
    def _enqueue(batcher: "Batcher", handle: Handle[Servable], request: Any) -> _Queued:
        prediction = check_request(handle.servable.signatures, request)
        return prediction, batcher.submit(handle.servable, prediction)


def _release_when_done(entering: Future[_Queued], handle: Handle[Servable]) -> None:
    if entering.cancelled() or entering.exception():
        handle.release()
    else:
        entering.result()[1].add_done_callback(lambda _: handle.release())


def _abandon(entering: Future[_Queued]) -> None:
    """Cancels a task whose caller went away while it was being queued."""
    if not entering.cancelled() and not entering.exception():
        entering.result()[1].cancel()


class Batcher:
    """Finds the queue of a run, and runs the batches.

    Args:
        options: The settings of batching.
    """

    def __init__(self, options: BatchingOptions) -> None:
        self.scheduler: Final = BatchScheduler(options)
        self._queues: dict[Servable, dict[tuple[_Names, _Names], BatchQueue]] = {}
        self._lock = threading.Lock()

    def submit(self, servable: Servable, prediction: Prediction) -> Future[Outputs]:
        """Queues a run.

        Args:
            servable: The version; the caller holds a reference to it until the future is done.
            prediction: The checked request.

        Returns:
            Its outputs to be, by tensor name.

        Raises:
            ServingError: The inputs have no common batch dimension, or the queue takes no more.
        """
        task = Task(prediction.feeds, batch_size(prediction.feeds))
        self._queue(servable, tuple(sorted(prediction.feeds)), prediction.fetches).submit(task)
        return task.future

    def _queue(self, servable: Servable, feeds: _Names, fetches: _Names) -> BatchQueue:
        with self._lock:
            if servable not in self._queues:
                self._queues[servable] = {}
                servable.on_close(lambda: self._forget(servable))
            queues = self._queues[servable]
            if (feeds, fetches) not in queues:
                queues[feeds, fetches] = self.scheduler.add_queue(
                    lambda tasks: self._process(servable, fetches, tasks)
                )
            return queues[feeds, fetches]

    def _forget(self, servable: Servable) -> None:
        with self._lock:
            queues = self._queues.pop(servable)
        for queue in queues.values():
            self.scheduler.remove_queue(queue)

    def _process(self, servable: Servable, fetches: _Names, tasks: Sequence[Task]) -> None:
        try:
            feeds = merge(tasks, self.scheduler.options)
            outputs = dict(zip(fetches, servable.run(feeds, fetches), strict=True))
            parts = split(tasks, outputs, next(iter(feeds.values())).shape[0])
        except ServingError as error:
            for task in tasks:
                task.future.set_exception(error)
        except Exception as error:  # noqa: BLE001 - it is logged; without this thread every later batch would wait
            _LOG.exception("a batch of %d failed", len(tasks))
            text = f"Batching failed: {type(error).__name__}: {error}"
            for task in tasks:
                task.future.set_exception(ServingError(grpc.StatusCode.INTERNAL, text))
        else:
            for task, part in zip(tasks, parts, strict=True):
                task.future.set_result(part)
