"""Decoding of pictures in a bounded pool of threads, so that the event loop stays free and memory bounded."""

import asyncio
import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from app.errors import CorruptPicture, Problem, ServiceUnavailable, TooManyPixels, UnsupportedPicture
from app.metrics.recorder import Recorder
from preprocessing import (
    CorruptPictureError,
    NotAPictureError,
    TooManyPixelsError,
    decode_picture,
    load_decoders,
    scans,
)

# For each place in the queue.
_HULLS = 8
# The weight of the latest picture in the mean time that one takes.
_LATEST = 0.1

# Some 512 × 512 pixels, in the quality of a camera.
_INLINE_BYTES: Final = 131_072
# Start of frame, Huffman coding: baseline, and progressive (ITU-T T.81, table B.1).
_BASELINE: Final = b"\xff\xc0"
_PROGRESSIVE: Final = b"\xff\xc2"
# Each scan is a pass over all pixels. Baseline has one, or one for each colour, and a thumbnail may have one more.
_INLINE_SCANS: Final = 4


class _GivenUpError(Exception):
    """Ends a job that nobody waits for; so nobody sees it."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture and what it took.

    Attributes:
        image: uint8 [height, width, 3], RGB.
        queue_seconds: How long the picture waited for a thread.
        decode_seconds: How long decoding took.
    """

    image: NDArray[np.uint8]
    queue_seconds: float
    decode_seconds: float


def together(decoded: Sequence[Decoded]) -> NDArray[np.uint8]:
    """Put pictures of one size into one array, uint8 [pictures, height, width, 3]; a single one is not copied."""
    if len(decoded) == 1:
        return decoded[0].image[np.newaxis]
    return np.stack([one.image for one in decoded])


@dataclass(slots=True)
class _Job:
    """A picture on its way through the pool; `picture` is None once nobody wants it any more."""

    picture: bytes | None
    height: int
    width: int
    submitted: float = field(default_factory=time.perf_counter)
    started: bool = False


class DecodePool:
    """Decodes pictures in threads of its own.

    Pillow lets go of the interpreter's lock while it decodes and resizes, so threads do run side by side.

    A picture being decoded takes up to some 20 bytes a pixel (docs/operations.md), so that a thread for each core
    would need far more for the largest pictures than for those that come in every day. Large ones therefore wait for
    one another: no more than `(workers - max_large) * large_pixels + max_large * max_pixels` pixels are ever held.

    Small JPEGs are decoded at once, in the event loop: handing one to a thread and taking it back costs as much as
    decoding it (docs/speed.md). Only those of which it is sure that they take a millisecond or so.

    Args:
        workers: Threads.
        queue: How many pictures may wait for one.
        max_wait: Seconds beyond which a picture is refused that would have to wait for longer, going by what pictures
            took lately. A queue of a fixed length alone makes everybody miss their deadline on a slow machine.
        max_pixels: Width times height above which a picture is refused.
        large_pixels: Above this a picture is large.
        max_large: How many large ones are decoded at the same time.
        retry_after: Seconds that those who find the queue full are told to wait.
        recorder: Is told of every change, and of those who find the queue full.
        inline_pixels: Up to this a JPEG is small; 0 sends all to the threads.
    """

    def __init__(
        self,
        *,
        workers: int,
        queue: int,
        max_pixels: int,
        large_pixels: int,
        max_large: int,
        retry_after: int,
        recorder: Recorder,
        inline_pixels: int = 0,
        max_wait: float = math.inf,
    ) -> None:
        self._inline_pixels = min(inline_pixels, max_pixels)
        self._workers = workers
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._capacity = workers + queue
        self._max_pixels = max_pixels
        self._large_pixels = min(large_pixels, max_pixels)
        self._large = threading.BoundedSemaphore(max_large)
        self._retry_after = retry_after
        self._recorder = recorder
        self._max_wait = max_wait
        self._mean_seconds = 0.0
        self._pending = 0
        self._given_up = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        load_decoders()
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def decode_all(self, pictures: Sequence[bytes], height: int, width: int) -> list[Decoded | Problem]:
        """Decode pictures to the given size; as many at a time as there are threads, for others wait too.

        Returns:
            For each picture, in order, what it is, or what is wrong with it.

        Raises:
            ServiceUnavailable: As many pictures wait as may.
        """
        found: list[Decoded | Problem] = []
        if len(pictures) == 1:
            found.append(await self._decode_or_tell(pictures[0], height, width, at_once=True))
        else:
            for start in range(0, len(pictures), self._workers):
                some = pictures[start : start + self._workers]
                # In threads, all of them: together small ones too would hold up the event loop.
                decoding = (self._decode_or_tell(one, height, width, at_once=False) for one in some)
                found += await asyncio.gather(*decoding)
        for one in found:
            if isinstance(one, ServiceUnavailable):
                raise one
        return found

    async def _decode_or_tell(
        self, picture: bytes, height: int, width: int, *, at_once: bool
    ) -> Decoded | Problem:
        try:
            return await self.decode(picture, height=height, width=width, at_once=at_once)
        except (ServiceUnavailable, UnsupportedPicture, TooManyPixels, CorruptPicture) as problem:
            return problem

    async def decode(self, picture: bytes, *, height: int, width: int, at_once: bool = True) -> Decoded:
        """Decode a picture to the given size.

        Args:
            picture: The picture file.
            height: Rows of the result.
            width: Columns of the result.
            at_once: Decode it without a thread where it is small.

        Raises:
            ServiceUnavailable: As many pictures wait as may.
            UnsupportedPicture: No picture, or a format that is not read.
            TooManyPixels: Over the limit of pixels.
            CorruptPicture: Truncated or damaged.
        """
        try:
            small = self._decode_at_once(picture, height, width) if at_once else None
            return small or await self._queue(picture, height, width)
        except NotAPictureError as error:
            raise UnsupportedPicture(str(error)) from error
        except TooManyPixelsError as error:
            raise TooManyPixels(str(error)) from error
        except CorruptPictureError as error:
            raise CorruptPicture(str(error)) from error

    def _decode_at_once(self, picture: bytes, height: int, width: int) -> Decoded | None:
        """Decode a small JPEG; None where it is none, or may not be."""
        if not (
            self._inline_pixels
            and len(picture) <= _INLINE_BYTES
            and picture.startswith(b"\xff\xd8")
            and _BASELINE in picture
            and _PROGRESSIVE not in picture
            and scans(picture) <= _INLINE_SCANS
        ):
            return None
        started = time.perf_counter()
        try:
            image = decode_picture(picture, height=height, width=width, max_pixels=self._inline_pixels)
        except TooManyPixelsError:
            # Known from the header alone, so that little was done twice.
            return None
        return Decoded(image, 0.0, time.perf_counter() - started)

    async def _queue(self, picture: bytes, height: int, width: int) -> Decoded:
        job = _Job(picture, height, width)
        self._take_on()
        future = asyncio.wrap_future(self._executor.submit(self._run, job))
        try:
            # Shielded: a job that was cancelled would lie in the executor's queue, picture and all, uncounted.
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self._give_up(job)
            raise

    @property
    def full(self) -> bool:
        """Whether a picture that came now would be refused."""
        if self._pending >= self._capacity:
            return True
        before = self._pending - self._workers + 1
        return before * self._mean_seconds / self._workers > self._max_wait

    def _take_on(self) -> None:
        with self._lock:
            # Jobs that were given up are hulls without a picture, gone as soon as a thread comes to them. Yet they
            # too are bounded: callers may come and go faster than threads become free.
            room = not self.full and self._given_up < _HULLS * self._capacity
            self._pending += room
        if not room:
            self._recorder.shed("decode_queue")
            raise ServiceUnavailable(
                "More pictures wait for decoding than this server takes on. Send it again a little later.",
                retry_after=self._retry_after,
            )
        self._recorder.pictures_changed(waiting=1, running=0)

    def _give_up(self, job: _Job) -> None:
        with self._lock:
            if job.started:
                # Its thread is busy to the end, whoever still wants the picture.
                return
            job.picture = None
            self._pending -= 1
            self._given_up += 1
        self._recorder.pictures_changed(waiting=-1, running=0)

    def _run(self, job: _Job) -> Decoded:
        with self._lock:
            job.started = True
            picture = job.picture
            if picture is None:
                self._given_up -= 1
                raise _GivenUpError
        self._recorder.pictures_changed(waiting=-1, running=1)
        started = time.perf_counter()
        try:
            return self._decode(picture, job.height, job.width, job.submitted)
        finally:
            seconds = time.perf_counter() - started
            with self._lock:
                self._pending -= 1
                self._mean_seconds += _LATEST * (seconds - self._mean_seconds)
            self._recorder.pictures_changed(waiting=0, running=-1)

    def _decode(self, picture: bytes, height: int, width: int, submitted: float) -> Decoded:
        started = time.perf_counter()
        try:
            image = decode_picture(picture, height=height, width=width, max_pixels=self._large_pixels)
        except TooManyPixelsError:
            # Known from the header alone, so that little was done twice.
            if self._large_pixels == self._max_pixels:
                raise
            with self._large:
                started = time.perf_counter()
                image = decode_picture(picture, height=height, width=width, max_pixels=self._max_pixels)
        return Decoded(image, started - submitted, time.perf_counter() - started)
