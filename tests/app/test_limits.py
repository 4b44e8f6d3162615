"""Limits of callers on the picture endpoints."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from app.metrics.recorder import Recorder
from app.settings import Settings
from tests.app.test_errors import assert_problem
from tests.support.fake_backend import FakeBackend, Method
from tests.support.gateway import (
    PREDICT,
    PREDICT_PRODUCT,
    TOKEN,
    Endpoint,
    gateway_client,
    gateway_settings,
    running_gateway,
)
from tests.support.pictures import grey_jpeg
from tests.support.plans import plans_file
from tests.support.scrape import scrape

OTHER_TOKEN = "another-token-for-the-tests"
# Refilled so slowly that no test sees it: one unit in a day's 1440th part at most.
SLOW = {"requests_per_minute": 1}


def limited(backend: FakeBackend, folder: Path, plan: dict[str, int | bool], **changes: object) -> Settings:
    return gateway_settings(
        backend.target,
        tokens=[TOKEN, OTHER_TOKEN],
        plans_file=plans_file(folder, small=plan, unlimited={}),
        static_tokens_plan="small",
        **changes,
    )


async def post(
    client: httpx.AsyncClient, path: str = PREDICT, picture: bytes | None = None
) -> httpx.Response:
    return await client.post(path, files={"file": grey_jpeg(0) if picture is None else picture})


def members(field: str) -> dict[str, dict[str, int | str]]:
    """Read a list of strings with parameters, as structured fields are written (RFC 9651); fails on all else."""
    item = r'"([a-z]+)"((?:;[a-z-]+=(?:\d+|"[a-z-]+"))*)'
    assert re.fullmatch(f"{item}(?:, {item})*", field), field
    return {
        name: {
            key: int(value) if value.isdecimal() else value.strip('"')
            for key, value in (pair.split("=") for pair in parameters.split(";")[1:])
        }
        for name, parameters in re.findall(item, field)
    }


async def test_every_answer_tells_the_limits_and_what_is_left(backend: FakeBackend, tmp_path: Path) -> None:
    plan = {"requests_per_minute": 60, "burst": 20, "images_per_day": 500, "concurrent_requests": 4}
    async with gateway_client(limited(backend, tmp_path, plan)) as client:
        first, second = await post(client), await post(client, PREDICT_PRODUCT)
    assert members(second.headers["ratelimit-policy"]) == {
        "requests": {"q": 20, "w": 20},
        "images": {"q": 500, "w": 86_400, "sportvision-unit": "images"},
        "concurrent": {"q": 4, "qu": "concurrent-requests"},
    }
    assert second.headers["ratelimit-policy"] == first.headers["ratelimit-policy"]
    standing = members(second.headers["ratelimit"])
    assert standing["images"]["r"] == 498
    assert 0 < int(standing["images"]["t"]) <= 86_400
    # Two are used, and one a second comes back.
    assert (standing["requests"]["r"], standing["requests"]["t"]) in {(18, 2), (19, 1)}
    # Its own place is free again.
    assert standing["concurrent"] == {"r": 4}


async def test_without_limits_there_is_nothing_to_tell(client: httpx.AsyncClient) -> None:
    answer = await post(client)
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers
    assert "ratelimit-policy" not in answer.headers


async def test_too_many_requests_at_once_and_each_token_has_its_own(
    backend: FakeBackend, tmp_path: Path, endpoint: Endpoint
) -> None:
    settings = limited(backend, tmp_path, {**SLOW, "burst": 3})
    async with gateway_client(settings) as client:
        for _ in range(3):
            assert (await post(client, endpoint.path)).status_code == 200
        answer = await post(client, endpoint.path)
        assert_problem(answer, 429, "quota-exceeded", "lets 1 requests pass in 60 seconds, and 3 at once")
        assert answer.json()["violated-policies"] == ["requests"]
        assert 50 < int(answer.headers["retry-after"]) <= 60
        # The draft wishes both to mean the same moment.
        assert members(answer.headers["ratelimit"])["requests"] == {
            "r": 0,
            "t": int(answer.headers["retry-after"]),
        }
        assert members(answer.headers["ratelimit-policy"]) == {"requests": {"q": 3, "w": 180}}
        assert backend.calls[Method.PREDICT] == 3
        found = await scrape(client)
        assert found.value("limited_total", limit="requests") == 1
        for path in ("/healthz", "/sports", "/metrics"):
            assert (await client.get(path)).status_code == 200
        client.headers["Authorization"] = OTHER_TOKEN
        assert (await post(client, endpoint.path)).status_code == 200


async def test_it_is_refused_before_its_body_is_read(backend: FakeBackend, tmp_path: Path) -> None:
    async with gateway_client(limited(backend, tmp_path, {**SLOW, "burst": 1})) as client:
        await post(client)
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        head = (
            f"POST {PREDICT} HTTP/1.1\r\nHost: test\r\nAuthorization: {TOKEN}\r\nContent-Length: 60000\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        writer.write(head.encode())
        assert await reader.readline() == b"HTTP/1.1 429 Too Many Requests\r\n"
        writer.close()
        await writer.wait_closed()


async def test_only_answered_images_count(backend: FakeBackend, tmp_path: Path) -> None:
    settings = limited(backend, tmp_path, {"images_per_day": 3, "requests_per_minute": 1000})
    async with gateway_client(settings) as client:
        for picture, status in ((b"no picture", 415), (grey_jpeg(0)[:200], 422)):
            refused = await post(client, picture=picture)
            assert refused.status_code == status
            # The header tells how it is after the refusal.
            assert members(refused.headers["ratelimit"])["images"]["r"] == 3
        wrong = await client.post(PREDICT, json={})
        assert (wrong.status_code, members(wrong.headers["ratelimit"])["images"]["r"]) == (415, 3)
        backend.fail(Method.PREDICT, grpc.StatusCode.INTERNAL, "broken")
        failed = await post(client)
        assert failed.status_code == 502
        assert members(failed.headers["ratelimit"])["images"]["r"] == 3
        # Requests count all the same.
        assert int(members(failed.headers["ratelimit"])["requests"]["r"]) < 1000


async def test_as_many_images_as_the_plan_has_are_answered(backend: FakeBackend, tmp_path: Path) -> None:
    async with gateway_client(limited(backend, tmp_path, {"images_per_day": 3})) as client:
        for left in (2, 1, 0):
            answer = await post(client)
            assert (answer.status_code, members(answer.headers["ratelimit"])["images"]["r"]) == (200, left)
        answer = await post(client)
        assert_problem(answer, 429, "quota-exceeded", "3 images a day, of which 0 are left")
        assert answer.json()["violated-policies"] == ["images"]
        assert 0 < int(answer.headers["retry-after"]) <= 86_400


async def test_a_batch_costs_as_many_images_as_it_answers(backend: FakeBackend, tmp_path: Path) -> None:
    async def batch(client: httpx.AsyncClient, *pictures: bytes) -> httpx.Response:
        files = [("files", (f"{number}.jpg", picture)) for number, picture in enumerate(pictures)]
        return await client.post("/sportclassifier/predict/batch/", files=files)

    plan = {"images_per_day": 5, "requests_per_minute": 1000, "concurrent_requests": 1}
    async with gateway_client(limited(backend, tmp_path, plan)) as client:
        answer = await batch(client, grey_jpeg(0), b"no picture", grey_jpeg(1), grey_jpeg(2))
        assert answer.status_code == 200
        standing = members(answer.headers["ratelimit"])
        assert (standing["images"]["r"], standing["concurrent"]["r"]) == (2, 1)
        refused = await batch(client, *map(grey_jpeg, range(3)))
        assert_problem(refused, 429, "quota-exceeded", "5 images a day")
        assert refused.json()["violated-policies"] == ["images"]
        impossible = await batch(client, *map(grey_jpeg, range(6)))
        assert_problem(impossible, 429, "quota-exceeded", "needs 6 of the limit")
        assert "retry-after" not in impossible.headers
        assert (await batch(client, grey_jpeg(0), grey_jpeg(1))).status_code == 200
        assert (await post(client)).status_code == 429


async def test_places_are_held_until_the_answer_is_there(backend: FakeBackend, tmp_path: Path) -> None:
    async with gateway_client(limited(backend, tmp_path, {"concurrent_requests": 2})) as client:
        for _ in range(2):
            with backend.hold(Method.PREDICT) as gate:
                before = backend.calls[Method.PREDICT]
                held = [asyncio.create_task(post(client)) for _ in range(2)]
                await backend.wait_calls(Method.PREDICT, before + 2)
                answer = await post(client)
                assert_problem(answer, 429, "quota-exceeded", "2 requests run at the same time")
                assert answer.json()["violated-policies"] == ["concurrent"]
                assert answer.headers["retry-after"] == "1"
                assert members(answer.headers["ratelimit"]) == {"concurrent": {"r": 0}}
                gate.set()
                assert [(await task).status_code for task in held] == [200, 200]
        # One after the other: each finds the place of the one before free.
        for _ in range(10):
            assert (await post(client)).status_code == 200


async def test_a_caller_who_goes_away_leaves_its_place(backend: FakeBackend, tmp_path: Path) -> None:
    settings = limited(backend, tmp_path, {"concurrent_requests": 1, "images_per_day": 5})
    async with gateway_client(settings) as client:
        with backend.hold(Method.PREDICT):
            leaving = asyncio.create_task(post(client))
            await backend.wait_calls(Method.PREDICT, 1)
            leaving.cancel()
            await asyncio.wait((leaving,))
            await backend.wait_cancelled(Method.PREDICT, 1)
        async with asyncio.timeout(20):
            while (answer := await post(client)).status_code == 429:
                await asyncio.sleep(0.01)
        assert members(answer.headers["ratelimit"])["images"]["r"] == 4


async def test_what_the_gateway_refuses_for_itself_costs_no_image(
    backend: FakeBackend, tmp_path: Path
) -> None:
    settings = limited(backend, tmp_path, {"images_per_day": 2}, max_in_flight=1)
    async with gateway_client(settings) as client:
        with backend.hold(Method.PREDICT) as gate:
            held = asyncio.create_task(post(client))
            await backend.wait_calls(Method.PREDICT, 1)
            for _ in range(5):
                shed = await post(client)
                assert_problem(shed, 503, "service-unavailable", "as many pictures")
                assert members(shed.headers["ratelimit"])["images"]["r"] == 1
            gate.set()
            assert (await held).status_code == 200
        assert (await post(client)).status_code == 200
        assert (await post(client)).status_code == 429


@asynccontextmanager
async def replicas(settings: Settings, number: int) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(number):
            url = await stack.enter_async_context(running_gateway(settings))
            limits = httpx.Limits(max_connections=60, max_keepalive_connections=60)
            client = httpx.AsyncClient(
                base_url=url, headers={"Authorization": TOKEN}, timeout=60, trust_env=False, limits=limits
            )
            opened.append(await stack.enter_async_context(client))
        yield opened


@pytest.mark.parametrize(
    "plan", [{"images_per_day": 100}, {**SLOW, "burst": 100}], ids=["images", "requests"]
)
async def test_fifty_clients_on_two_replicas_against_a_limit_of_a_hundred(
    backend: FakeBackend, tmp_path: Path, redis_url: str, plan: dict[str, int | bool]
) -> None:
    """Each sends four: 200 in all. Exactly 100 pass, whichever replica they meet."""
    # The machine may be busy: what is slow must not count as away, for then each replica would count for itself.
    settings = limited(backend, tmp_path, plan, redis_url=redis_url, limits_timeout_seconds=30)
    async with replicas(settings, 2) as clients:

        async def client(number: int) -> list[int]:
            return [(await post(clients[(number + turn) % 2])).status_code for turn in range(4)]

        begun = asyncio.get_running_loop().time()
        statuses = [status for found in await asyncio.gather(*map(client, range(50))) for status in found]
        minutes = int((asyncio.get_running_loop().time() - begun) / 60)
    assert set(statuses) == {200, 429}
    # On a machine that takes minutes for this, one more comes back in each.
    assert statuses.count(200) == 100 + (minutes if "burst" in plan else 0)


async def test_places_are_shared_by_replicas(backend: FakeBackend, tmp_path: Path, redis_url: str) -> None:
    settings = limited(
        backend, tmp_path, {"concurrent_requests": 4}, redis_url=redis_url, limits_timeout_seconds=30
    )
    async with replicas(settings, 2) as clients:
        with backend.hold(Method.PREDICT) as gate:
            held = [asyncio.create_task(post(clients[number % 2])) for number in range(4)]
            await backend.wait_calls(Method.PREDICT, 4)
            for client in clients:
                assert (await post(client)).status_code == 429
            gate.set()
            assert [(await task).status_code for task in held] == [200] * 4
        assert [(await post(client)).status_code for client in clients] == [200] * 2


NOWHERE = "redis://127.0.0.1:1"


async def test_with_redis_away_open_goes_on_and_counts_alone(
    backend: FakeBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = limited(backend, tmp_path, {"images_per_day": 3}, redis_url=NOWHERE, limits_on_failure="open")
    async with gateway_client(settings) as client:
        assert [(await post(client)).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        assert (await scrape(client)).value("limits_alone") == 1
    said = [record for record in caplog.records if record.name.startswith("accounts.limits")]
    assert [record.levelno for record in said] == [logging.WARNING]


async def test_with_redis_away_closed_lets_nobody_pass(
    backend: FakeBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = limited(
        backend,
        tmp_path,
        {"images_per_day": 3},
        redis_url=NOWHERE,
        limits_on_failure="closed",
        retry_after_seconds=7,
    )
    async with gateway_client(settings) as client:
        for _ in range(5):
            answer = await post(client)
            assert_problem(answer, 503, "service-unavailable", "cannot be counted just now")
            assert answer.headers["retry-after"] == "7"
        assert (await client.get("/sports")).status_code == 200
        assert (await scrape(client)).value("limited_total", limit="unavailable") == 5
    assert backend.calls[Method.PREDICT] == 0
    said = [record for record in caplog.records if record.name.startswith("accounts.limits")]
    assert len(said) == 1


async def test_several_workers_without_redis_are_warned_of(
    backend: FakeBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway_client(limited(backend, tmp_path, {"images_per_day": 3}, workers=3)):
        pass
    assert "up to 3 times what its plan says" in caplog.text
    caplog.clear()
    async with gateway_client(gateway_settings(backend.target, workers=3)):
        pass
    assert "limits are counted" not in caplog.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"static_tokens_plan": "of gold"}, 'SPORTVISION_STATIC_TOKENS_PLAN is "of gold", which is no plan'),
        ({"redis_url": "localhost:6379"}, "SPORTVISION_REDIS_URL must begin with redis://"),
        ({"plans_file": "/nowhere/plans.toml"}, "SPORTVISION_PLANS_FILE: .*cannot be read"),
    ],
)
def test_plans_are_checked_with_the_settings(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        gateway_settings("127.0.0.1:1", **changes)


def test_recorders_that_keep_nothing_take_it_all() -> None:
    Recorder().limited("images")
    Recorder().limits_alone(alone=True)
