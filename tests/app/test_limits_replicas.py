"""One limit, two gateways as processes of their own, one Redis."""

import asyncio
import contextlib
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.fake_backend import FakeBackend, Method
from tests.support.gateway import PREDICT, TOKEN
from tests.support.pictures import grey_jpeg
from tests.support.plans import plans_file
from tests.support.processes import free_port, listens, running_module, wait_until

LIMIT = 100
CLIENTS = 50
EACH = 6


@pytest.mark.timeout(150)
async def test_fifty_clients_on_two_processes_get_exactly_a_hundred_images(
    backend: FakeBackend, redis_url: str, tmp_path: Path
) -> None:
    environment = {
        "SPORTVISION_TOKENS": TOKEN,
        "SPORTVISION_MODEL_SERVER": backend.target,
        "SPORTVISION_PLANS_FILE": str(plans_file(tmp_path, small={"images_per_day": LIMIT})),
        "SPORTVISION_STATIC_TOKENS_PLAN": "small",
        "SPORTVISION_REDIS_URL": redis_url,
        # The machine may be busy: what is slow must not count as away, for then each would count for itself.
        "SPORTVISION_LIMITS_TIMEOUT_SECONDS": "30",
        "SPORTVISION_LOG_LEVEL": "warning",
    }
    async with contextlib.AsyncExitStack() as stack:
        ports, started = (free_port(), free_port()), []
        for port in ports:
            log = tmp_path / f"{port}.log"
            process = stack.enter_context(
                running_module("app", log=log, environment={**environment, "SPORTVISION_PORT": str(port)})
            )
            started.append((port, process, log))
        for port, process, log in started:
            await asyncio.to_thread(wait_until, "gateway", partial(listens, port), process, log)
        limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
        replicas = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{port}",
                    headers={"Authorization": TOKEN},
                    timeout=60,
                    trust_env=False,
                    limits=limits,
                )
            )
            for port in ports
        ]

        async def client(number: int) -> list[tuple[int, int]]:
            found = []
            for turn in range(EACH):
                which = (number + turn) % len(replicas)
                answer = await replicas[which].post(PREDICT, files={"file": grey_jpeg(0)})
                found.append((which, answer.status_code))
            return found

        begun = datetime.now(UTC).date()
        answers = Counter(
            pair for found in await asyncio.gather(*map(client, range(CLIENTS))) for pair in found
        )
    print(dict(answers))
    if datetime.now(UTC).date() != begun:
        pytest.skip("a new day with a quota of its own began meanwhile")
    assert answers[0, 200] + answers[1, 200] == LIMIT == backend.calls[Method.PREDICT]
    assert answers[0, 429] + answers[1, 429] == CLIENTS * EACH - LIMIT
    assert all(answers[which, 200] for which in (0, 1))
