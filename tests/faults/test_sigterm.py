"""SIGTERM to gateways under load."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.backend_process import running_backend
from tests.support.balancer import Balancer
from tests.support.gateway_process import gateway_process
from tests.support.load import under_load


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_request_fails_when_one_of_two_gateways_goes(tmp_path: Path, workers: int) -> None:
    async with AsyncExitStack() as stack:
        backend = stack.enter_context(running_backend(tmp_path))
        going, staying = [
            await stack.enter_async_context(
                gateway_process(backend.target, tmp_path, drain_seconds=1, workers=count)
            )
            for count in (workers, 1)
        ]
        for gateway in (going, staying):
            await gateway.until_ready()
        async with (
            Balancer([going, staying], seconds=0.2) as balancer,
            under_load(lambda: balancer.choose().client) as load,
        ):
            await load.more(50)
            going.process.terminate()
            async with asyncio.timeout(20):
                while going.process.poll() is None:
                    await asyncio.sleep(0.02)
            await load.more(50)
        assert "Traceback" not in going.log.read_text()
    assert load.failed == 0, load.by_kind


async def test_what_is_in_flight_is_finished_and_the_port_stays_open_until_the_drain_ends(
    tmp_path: Path,
) -> None:
    with running_backend(tmp_path, "--seconds=1.5", "--places=8") as backend:
        async with gateway_process(backend.target, tmp_path, drain_seconds=0.5) as gateway:
            await gateway.until_ready()
            # Each caller asks once: in flight at the signal, and well beyond the drain.
            asked = iter([gateway.client] * 4)
            async with under_load(lambda: next(asked, None)) as load:
                async with asyncio.timeout(20):
                    while (await gateway.metrics()).value("work_in_flight") < 4:
                        await asyncio.sleep(0.01)
                gateway.process.terminate()
                async with asyncio.timeout(20):
                    while await gateway.ready():
                        await asyncio.sleep(0.01)
                answer = await gateway.client.get("/healthz")
                assert answer.status_code == 200
                assert answer.headers["connection"] == "close"
                refused = await gateway.client.get("/readyz")
                assert refused.status_code == 503
                assert "shutting down" in refused.json()["detail"]
            assert load.by_kind == {200: 4}
            await asyncio.to_thread(gateway.process.wait, 20)


async def test_what_takes_too_long_is_cut_off(tmp_path: Path) -> None:
    with running_backend(tmp_path, "--seconds=60") as backend:
        settings = {"drain_seconds": 0, "stop_seconds": 1, "predict_timeout_seconds": 60}
        async with gateway_process(backend.target, tmp_path, **settings) as gateway:
            await gateway.until_ready()
            asked = iter([gateway.client])
            async with under_load(lambda: next(asked, None)) as load:
                async with asyncio.timeout(20):
                    while (await gateway.metrics()).value("work_in_flight") < 1:
                        await asyncio.sleep(0.01)
                started = time.monotonic()
                gateway.process.terminate()
                await asyncio.to_thread(gateway.process.wait, 20)
            assert time.monotonic() - started < 5
            assert load.failed == 1


async def test_a_second_sigterm_ends_the_drain(tmp_path: Path) -> None:
    with running_backend(tmp_path) as backend:
        async with gateway_process(backend.target, tmp_path, drain_seconds=60) as gateway:
            await gateway.until_ready()
            gateway.process.terminate()
            async with asyncio.timeout(20):
                while await gateway.ready():
                    await asyncio.sleep(0.01)
            gateway.process.terminate()
            await asyncio.to_thread(gateway.process.wait, 20)
