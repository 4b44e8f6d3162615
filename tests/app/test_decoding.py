import asyncio
import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

import app.decoding
from app.decoding import DecodePool
from app.errors import CorruptPicture, ServiceUnavailable, TooManyPixels
from app.metrics.recorder import Recorder
from app.settings import Settings
from preprocessing import TooManyPixelsError, decode_picture
from tests.support.gateway import PREDICT, gateway_client
from tests.support.pictures import encoded, grey_jpeg, quadrants


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Holds every decoding thread until set."""
    event = threading.Event()

    def held(*_: object, height: int, width: int, **__: object) -> np.ndarray:
        assert event.wait(30)
        return np.zeros((height, width, 3), np.uint8)

    monkeypatch.setattr(app.decoding, "decode_picture", held)
    yield event
    event.set()


def pool_of(**changes: Any) -> DecodePool:
    usual = {"max_pixels": 100, "large_pixels": 100, "max_large": 1, "retry_after": 1, "recorder": Recorder()}
    return DecodePool(**{**usual, **changes})


async def test_beyond_workers_and_queue_it_is_busy(gate: threading.Event) -> None:
    with pool_of(workers=2, queue=3, retry_after=7) as pool:
        waiting = [asyncio.create_task(pool.decode(b"", height=2, width=2)) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceUnavailable) as caught:
            await pool.decode(b"", height=2, width=2)
        assert caught.value.headers == {"Retry-After": "7"}
        gate.set()
        assert [decoded.image.shape for decoded in await asyncio.gather(*waiting)] == [(2, 2, 3)] * 5
        assert (await pool.decode(b"", height=3, width=2)).image.shape == (3, 2, 3)


async def test_who_would_wait_too_long_is_refused_before_the_queue_is_full(gate: threading.Event) -> None:
    with pool_of(workers=1, queue=100, max_wait=4) as pool:
        pool._mean_seconds = 3.0
        waiting = [asyncio.create_task(pool.decode(b"", height=2, width=2)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceUnavailable):
            await pool.decode(b"", height=2, width=2)
        gate.set()
        await asyncio.gather(*waiting)
        # Pictures take less again, and that counts as well.
        assert not pool.full
        assert pool._mean_seconds < 3


async def test_a_caller_who_gave_up_leaves_the_queue(gate: threading.Event) -> None:
    with pool_of(workers=1, queue=1) as pool:
        busy = asyncio.create_task(pool.decode(b"", height=2, width=2))
        queued = asyncio.create_task(pool.decode(b"", height=2, width=2))
        await asyncio.sleep(0)
        queued.cancel()
        await asyncio.gather(queued, return_exceptions=True)
        third = asyncio.create_task(pool.decode(b"", height=2, width=2))
        await asyncio.sleep(0)
        assert not third.done()
        gate.set()
        await asyncio.gather(busy, third)


async def test_what_callers_gave_up_holds_no_picture_and_is_bounded(gate: threading.Event) -> None:
    with pool_of(workers=1, queue=1) as pool:
        busy = asyncio.create_task(pool.decode(b"", height=2, width=2))
        await asyncio.sleep(0)
        for _ in range(16):
            picture = bytearray(10)
            leaving = asyncio.create_task(pool.decode(picture, height=2, width=2))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            # Alone with us: the pool has let go of it.
            del leaving
            async with asyncio.timeout(20):
                while sys.getrefcount(picture) > 2:
                    gc.collect()
                    await asyncio.sleep(0)
        with pytest.raises(ServiceUnavailable):
            await pool.decode(b"", height=2, width=2)
        gate.set()
        await busy
        async with asyncio.timeout(20):
            while pool._given_up:
                await asyncio.sleep(0.001)
        assert (await pool.decode(b"", height=2, width=3)).image.shape == (2, 3, 3)
        assert pool._pending == 0


async def test_large_pictures_wait_for_one_another_and_small_ones_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large_gate, entered = threading.Event(), threading.Semaphore(0)
    running = 0

    def decode(picture: bytes, *, height: int, width: int, max_pixels: int) -> np.ndarray:
        nonlocal running
        if len(picture) > max_pixels:
            raise TooManyPixelsError(f"more than {max_pixels}")
        if len(picture) > 10:
            running += 1
            assert running == 1
            entered.release()
            assert large_gate.wait(30)
            running -= 1
        return np.zeros((height, width, 3), np.uint8)

    monkeypatch.setattr(app.decoding, "decode_picture", decode)
    with pool_of(workers=3, queue=3, large_pixels=10) as pool:
        large = [asyncio.create_task(pool.decode(b"x" * 11, height=1, width=1)) for _ in range(2)]
        await asyncio.to_thread(entered.acquire)
        assert (await pool.decode(b"x" * 10, height=2, width=1)).image.shape == (2, 1, 3)
        assert not any(task.done() for task in large)
        large_gate.set()
        first, second = await asyncio.gather(*large)
        # The wait for the other counts as a wait.
        assert max(first.queue_seconds, second.queue_seconds) > min(first.queue_seconds, second.queue_seconds)
        with pytest.raises(TooManyPixels, match="more than 100"):
            await pool.decode(b"x" * 101, height=1, width=1)


async def test_health_answers_while_every_decoding_thread_is_busy(
    gate: threading.Event, settings: Settings
) -> None:
    changed = settings.model_copy(update={"decode_workers": 1, "decode_queue": 1, "inline_decode_pixels": 0})
    async with gateway_client(changed) as client:
        pictures = [asyncio.create_task(client.post(PREDICT, files={"file": grey_jpeg(0)})) for _ in range(4)]
        done, _ = await asyncio.wait(pictures, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result().status_code for task in done} == {503}
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        gate.set()
        statuses = sorted([(await task).status_code for task in pictures])
    assert statuses == [200, 200, 503, 503]


async def test_only_small_baseline_jpegs_are_decoded_without_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[str] = []

    def noted(picture: bytes, *, height: int, width: int, max_pixels: int) -> np.ndarray:
        image = decode_picture(picture, height=height, width=width, max_pixels=max_pixels)
        threads.append(threading.current_thread().name)
        return image

    monkeypatch.setattr(app.decoding, "decode_picture", noted)
    at_once = {
        "small": encoded(quadrants(60, 40)),
        "large": encoded(quadrants(61, 41)),
        "progressive": encoded(quadrants(60, 40), progressive=True),
        "many scans": encoded(quadrants(60, 40), comment=5 * b"\xff\xda"),
        "png": encoded(quadrants(60, 40), "PNG"),
    }
    with pool_of(workers=1, queue=1, max_pixels=10_000, large_pixels=10_000, inline_pixels=60 * 40) as pool:
        for picture in at_once.values():
            assert (await pool.decode(picture, height=8, width=8)).image.shape == (8, 8, 3)
    found = dict(zip(at_once, threads, strict=True))
    assert {name for name, thread in found.items() if not thread.startswith("decode")} == {"small"}


async def test_a_damaged_small_jpeg_is_refused_all_the_same() -> None:
    picture = encoded(quadrants(60, 40))
    pool = pool_of(workers=1, queue=1, max_pixels=10_000, inline_pixels=10_000)
    with pool, pytest.raises(CorruptPicture):
        await pool.decode(picture[:-200], height=8, width=8)


async def test_a_request_id_is_made_where_the_caller_s_is_unfit(client: httpx.AsyncClient) -> None:
    for unfit in ("", "two words", "x" * 129, "a;b"):
        made = (await client.get("/healthz", headers={"X-Request-ID": unfit})).headers["x-request-id"]
        assert len(made) == 32
        assert made.isalnum()
