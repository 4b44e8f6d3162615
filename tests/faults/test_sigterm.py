"""SIGTERM to gateways under load."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.backend_process import running_backend
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.load import under_load


class Balancer:
    """Sends requests to the gateways in turn, and notices only now and then which of them are ready."""

    def __init__(self, gateways: list[GatewayProcess], seconds: float) -> None:
        self.gateways = gateways
        self._seconds = seconds
        self._ready: list[GatewayProcess] = []
        self._turn = 0

    def choose(self) -> httpx.AsyncClient:
        self._turn += 1
        return self._ready[self._turn % len(self._ready)].client

    async def watch(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self._seconds)

    async def look(self) -> None:
        known = list(self.gateways)
        answers = await asyncio.gather(*(gateway.ready() for gateway in known))
        self._ready = [gateway for gateway, ready in zip(known, answers, strict=True) if ready]


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
        balancer = Balancer([going, staying], seconds=0.2)
        for gateway in balancer.gateways:
            await gateway.until_ready()
        await balancer.look()
        watching = asyncio.create_task(balancer.watch())
        async with under_load(balancer.choose) as load:
            await load.more(50)
            going.process.terminate()
            async with asyncio.timeout(20):
                while going.process.poll() is None:
                    await asyncio.sleep(0.02)
            await load.more(50)
        watching.cancel()
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
