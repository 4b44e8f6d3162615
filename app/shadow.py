"""Shadow mode: a second version sees some of the pictures too, after the answer has gone out, and is compared.

Nothing of it may be felt by callers. It begins when an answer's last byte has been handed on. It has a queue, memory,
threads and a connection of its own, all of them bounded and small. What does not fit is dropped and counted, nothing
is tried twice, and failures are told in metrics, never in answers.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Generic

import numpy as np
from numpy.typing import NDArray

from agreement import Ranking, agreement
from app.classifier import Classification
from app.metrics.recorder import Recorder, ShadowSkip
from app.rankings import AnswerForm, RankedT
from app.served_model import INPUT, SIGNATURE, LiveVersion, ServedModel
from app.shadow_tally import ShadowTally
from app.shares import Share
from preprocessing import PictureError, decode_picture
from proto_client import DeadlineExceeded, ModelServerClient, ModelServerError, SignatureMismatch

# Of the decoding thread: it gets the time that callers' threads leave (Linux counts this by thread).
_NICENESS: Final = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    """A picture, what the caller was told, and what the version that told it was shown."""

    picture: bytes
    version: int
    ranking: Ranking
    image: NDArray[np.uint8]

    @property
    def size(self) -> int:
        return len(self.picture) + self.image.nbytes


@dataclass(frozen=True, slots=True)
class ShadowLimits:
    """What shadow mode may take.

    Attributes:
        queue: Pictures that wait.
        memory_bytes: Bytes of those that wait.
        concurrency: Pictures at work.
        timeout: Seconds for the second version's answer.
        max_pixels: Pictures with more are not decoded a second time.
    """

    queue: int
    memory_bytes: int
    concurrency: int
    timeout: float
    max_pixels: int


class Shadow(Generic[RankedT]):
    """Shows a share of the pictures to a second version.

    Args:
        client: A client of its own: no call of a caller waits behind one of these, and none of these opens a breaker.
        served: The second version; watched by whoever made it.
        form: How the model's answers are read.
        share: Which of the requests.
        limits: What it may take.
        recorder: Is told how far the versions agree, and what was dropped.
    """

    def __init__(
        self,
        client: ModelServerClient,
        served: ServedModel,
        form: AnswerForm[RankedT],
        *,
        share: Share,
        limits: ShadowLimits,
        recorder: Recorder,
    ) -> None:
        self._client = client
        self._served = served
        self._form = form
        self._share = share
        self._limits = limits
        self._recorder = recorder
        self._queue: asyncio.Queue[_Job] = asyncio.Queue(limits.queue)
        self._held = 0
        self._tally = ShadowTally(served.name)
        self._threads = ThreadPoolExecutor(limits.concurrency, "shadow", _step_back)

    def wants_next(self) -> bool:
        """Whether the next request belongs to the share."""
        return self._share.takes_next()

    async def offer(self, picture: bytes, answer: Classification[RankedT]) -> None:
        """Take a picture on, or drop it. Never waits, and never raises; asynchronous only to need no thread.

        Args:
            picture: The picture file.
            answer: What the caller was told.
        """
        job = _Job(picture, answer.version, _pairs(answer.ranking), answer.image)
        if self._queue.full() or self._held + job.size > self._limits.memory_bytes:
            self._skip("full")
            return
        self._held += job.size
        self._queue.put_nowait(job)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work while the block lasts. At its end whatever waits is dropped, and what is at work is cancelled."""
        async with AsyncExitStack() as stack:
            stack.callback(self._tally.log)
            # Waits for the picture that is being decoded, if one is.
            stack.callback(self._threads.shutdown, wait=True, cancel_futures=True)
            workers = [
                asyncio.create_task(self._work(), name=f"shadow of {self._served.name}")
                for _ in range(self._limits.concurrency)
            ]
            try:
                yield
            finally:
                for worker in workers:
                    worker.cancel()
                for worker in workers:
                    with suppress(asyncio.CancelledError):
                        await worker

    async def _work(self) -> None:
        while True:
            job = await self._queue.get()
            try:
                await self._compare(job)
            except DeadlineExceeded:
                self._skip("late")
            except (ModelServerError, SignatureMismatch):
                self._skip("failed")
            except PictureError:
                # Only one with too many pixels: the same picture has been decoded before.
                self._skip("too_large")
            except Exception:  # noqa: BLE001 - it is logged, and the worker must outlive it
                # A fault of ours. Without the worker every later picture would wait, and be counted as `full`.
                _log.exception("a second version of %s could not be compared", self._served.name)
                self._skip("failed")
            finally:
                self._held -= job.size

    async def _compare(self, job: _Job) -> None:
        live = await self._served.if_there()
        if live is None:
            self._skip("absent")
            return
        if live.version == job.version:
            self._skip("same_version")
            return
        image = await self._image(job, live)
        prediction = await self._client.predict(
            {INPUT: image[np.newaxis]},
            model=self._served.name,
            version=live.version,
            signature=SIGNATURE,
            output_filter=tuple(self._form.outputs),
            timeout=self._limits.timeout,
        )
        ranking = self._form.ranking(prediction.outputs, 0)
        found = agreement(job.ranking, _pairs(ranking))
        self._recorder.shadow_compared(
            model=self._served.name,
            candidate=live.version,
            same_first=found.same_first,
            total_variation=found.total_variation,
        )
        self._tally.add(job.version, live.version, found)

    async def _image(self, job: _Job, live: LiveVersion) -> NDArray[np.uint8]:
        """What the second version is shown: the same array where its input has the same size."""
        if job.image.shape[:2] == (live.height, live.width):
            return job.image
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._decode, job.picture, live.height, live.width
        )

    def _decode(self, picture: bytes, height: int, width: int) -> NDArray[np.uint8]:
        return decode_picture(picture, height=height, width=width, max_pixels=self._limits.max_pixels)

    def _skip(self, reason: ShadowSkip) -> None:
        self._recorder.shadow_skipped(model=self._served.name, reason=reason)


def _pairs(ranking: tuple[RankedT, ...]) -> Ranking:
    return [(ranked.id, ranked.probability) for ranked in ranking]


def _step_back() -> None:
    if sys.platform == "linux":
        # Of this thread alone, by its id. To give way is always allowed.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
