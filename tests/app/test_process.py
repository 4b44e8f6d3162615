"""`python -m app` as an operator runs it, with two workers and JSON logs."""

import asyncio
import json
import os
import signal
from pathlib import Path

import httpx
import psutil

from tests.support.fake_backend import FakeBackend
from tests.support.gateway import PREDICT, TOKEN
from tests.support.pictures import grey_jpeg
from tests.support.processes import free_port, listens, running_module, wait_until
from tests.support.scrape import Scrape, scrape

REQUESTS = 24


async def test_workers_count_together_and_every_line_is_json_without_a_token(
    backend: FakeBackend, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"
    environment = {
        "SPORTVISION_TOKENS": TOKEN,
        "SPORTVISION_PORT": str(port),
        "SPORTVISION_WORKERS": "2",
        "SPORTVISION_LOG_FORMAT": "json",
        "SPORTVISION_MODEL_SERVER": backend.target,
        "TMPDIR": str(tmp_path),
    }
    with running_module("app", log=log, environment=environment) as process:
        await asyncio.to_thread(wait_until, "gateway", lambda: listens(port), process, log)
        await both_workers_answer(port)
        for number in range(REQUESTS):
            answer = await ask(port, "POST", PREDICT, files={"file": (TOKEN, grey_jpeg(number))})
            assert answer.status_code == 200
        await ask(port, "GET", f"/{TOKEN}", params={"token": TOKEN})
        found = await metrics(port)
        assert found.value("http_requests_total", route=PREDICT, method="POST", status="200") == REQUESTS
        assert found.value("work_in_flight_limit") == 2 * 128
        # A worker that is killed takes its gauges along, not what it has counted. Another comes in its place.
        os.kill(children(process.pid)[-1], signal.SIGKILL)
        async with asyncio.timeout(60):
            while (await metrics(port)).value("work_in_flight_limit") != 128:
                await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            while (found := await metrics(port)).value("work_in_flight_limit") != 2 * 128:
                await asyncio.sleep(0.05)
        assert found.value("http_requests_total", route=PREDICT, method="POST", status="200") == REQUESTS
    check_what_is_left(tmp_path, log)


def check_what_is_left(folder: Path, log: Path) -> None:
    assert not list(folder.glob("sportvision-metrics-*"))
    written = log.read_text("utf-8")
    assert TOKEN not in written
    lines = [json.loads(line) for line in written.splitlines()]
    assert {"uvicorn.error", "app.access", "app.served_model"} <= {line["logger"] for line in lines}
    assert "uvicorn.access" not in {line["logger"] for line in lines}
    answers = [line for line in lines if line["logger"] == "app.access"]
    assert [line["status"] for line in answers] == [200] * REQUESTS + [404]
    assert {line.get("model_version") for line in answers} == {1, None}


async def ask(port: int, method: str, path: str, **parts: object) -> httpx.Response:
    """Ask over a connection of its own, so that any worker may get it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False
    ) as client:
        return await client.request(method, path, **parts)  # type: ignore[arg-type]


async def metrics(port: int) -> Scrape:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        try:
            return await scrape(client)
        except httpx.TransportError:
            # The worker that had taken the connection was killed.
            return Scrape("")


async def both_workers_answer(port: int) -> None:
    async with asyncio.timeout(60):
        while (await metrics(port)).value("work_in_flight_limit") != 2 * 128:
            await asyncio.sleep(0.05)


def children(process: int) -> list[int]:
    """The workers, in the order of their start."""
    found = psutil.Process(process).children()
    return [child.pid for child in found if "spawn_main" in " ".join(child.cmdline())]
