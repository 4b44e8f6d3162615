"""A version on trial: who meets it, and that it costs nobody the answer."""

import asyncio
from collections import Counter
from typing import Any

import grpc
import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.app.conftest import TYPES
from tests.app.test_errors import assert_problem
from tests.support.fake_backend import FakeBackend, Method
from tests.support.fake_models import Refused
from tests.support.gateway import (
    ENDPOINTS,
    MODEL,
    PREDICT,
    PRODUCT_MODEL,
    Endpoint,
    gateway_client,
    gateway_settings,
)
from tests.support.pictures import grey_jpeg
from tests.support.scrape import scrape
from tests.support.spoilt_versions import SPOILT, numbered, spoilt

LABEL = "X-Model-Label"
NEW_CLASSES = (("66", "Skiing"), ("87", "American football"))


@pytest.fixture
def trial(backend: FakeBackend) -> FakeBackend:
    """Version 1 under `stable`, version 2 with another input's size under `canary`, of both models."""
    backend.add_version(MODEL, 2, height=20, width=24, classes=NEW_CLASSES)
    backend.add_product_version(PRODUCT_MODEL, 2, height=20, width=24, types=TYPES)
    for model in (MODEL, PRODUCT_MODEL):
        backend.labels[model, "stable"] = 1
        backend.labels[model, "canary"] = 2
    return backend


def trial_settings(backend: FakeBackend, **changes: object) -> Settings:
    return gateway_settings(
        backend.target, sport_model_label="stable", product_model_label="stable", **changes
    )


async def send(
    client: httpx.AsyncClient, label: str | None = None, path: str = PREDICT, level: int = 0
) -> httpx.Response:
    headers = {} if label is None else {LABEL: label}
    return await client.post(path, headers=headers, files={"file": grey_jpeg(level)})


def seen(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.headers["x-model-version"], answer.headers["x-model-label"]


async def test_a_caller_may_ask_for_either_version(trial: FakeBackend, endpoint: Endpoint) -> None:
    async with gateway_client(trial_settings(trial)) as client:
        for label, version in (("canary", "2"), ("stable", "1"), (None, "1")):
            answer = await send(client, label, endpoint.path)
            assert seen(answer) == (200, version, label or "stable")
        assert trial.received[0].images.shape == (1, 20, 24, 3)


@pytest.mark.parametrize("label", ["Canary", "beta", "", "stable,canary"])
async def test_what_is_no_label_is_refused_before_the_picture_is_read(
    trial: FakeBackend, endpoint: Endpoint, label: str
) -> None:
    async with gateway_client(trial_settings(trial)) as client:
        answer = await send(client, label, endpoint.path)
    assert_problem(
        answer, 422, "invalid-parameter", "X-Model-Label", "'stable' or 'canary'", "Change the header"
    )
    assert not trial.calls[Method.PREDICT]


async def test_without_a_token_a_wrong_label_is_a_401(trial: FakeBackend) -> None:
    async with gateway_client(trial_settings(trial), token="unknown") as client:
        assert (await send(client, "beta")).status_code == 401


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_header_is_described(endpoint: Endpoint) -> None:
    document: dict[str, Any] = create_app(gateway_settings("127.0.0.1:1")).openapi()
    parameters = document["paths"][endpoint.path]["post"]["parameters"]
    (header,) = [one for one in parameters if one["in"] == "header" and one["name"] == LABEL]
    assert not header["required"]
    assert {"stable", "canary"} <= set(str(header["schema"]).replace("'", " ").split())
    assert "canary" in header["description"]


async def test_a_share_of_those_who_do_not_ask_meets_it(trial: FakeBackend) -> None:
    answered: Counter[str] = Counter()
    async with gateway_client(trial_settings(trial, sport_model_canary_share=0.25)) as client:
        # The first look at the label may not be over yet.
        await until_there(client)
        before = await scrape(client)

        async def caller(count: int) -> None:
            for _ in range(count):
                answer = await send(client)
                assert answer.status_code == 200
                assert (
                    answer.headers["x-model-version"] == {"stable": "1", "canary": "2"}[answer.headers[LABEL]]
                )
                answered[answer.headers[LABEL]] += 1

        await asyncio.gather(*(caller(25) for _ in range(8)))
        # The product model has no share of its own.
        assert (await send(client, path=ENDPOINTS[1].path)).headers[LABEL] == "stable"
        found = await scrape(client)
    assert answered.total() == 200

    def since(name: str, **labels: str) -> float:
        return found.value(name, model=MODEL, **labels) - before.value(name, model=MODEL, **labels)

    # On a busy machine a look at the label may be late: then the stable version answers, which is counted.
    missed = since("canary_misses_total", reason="absent")
    assert abs(answered["canary"] + missed - 50) < 3
    assert answered["canary"]
    assert since("predicted_class_total", version="2", class_id="66") == answered["canary"]
    assert since("answers_total", label="stable") == answered["stable"]


async def until_there(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(20):
        while (await send(client, "canary")).headers[LABEL] != "canary":
            await asyncio.sleep(0.01)


async def test_where_there_is_no_trial_everyone_gets_the_stable_version(
    backend: FakeBackend, endpoint: Endpoint
) -> None:
    settings = gateway_settings(backend.target, sport_model_canary_share=1.0, product_model_canary_share=1.0)
    async with gateway_client(settings) as client:
        for label in (None, "canary"):
            assert seen(await send(client, label, endpoint.path)) == (200, "1", "stable")
        found = await scrape(client)
    assert found.value("canary_misses_total", model=endpoint.model, reason="absent") == 2


async def test_a_trial_that_ends_under_way_costs_nobody_the_answer(trial: FakeBackend) -> None:
    settings = trial_settings(trial, sport_model_canary_share=1.0, model_refresh_seconds=3600.0)
    async with gateway_client(settings) as client:
        await until_there(client)
        # The gateway does not know yet, and asks for the version that is gone.
        trial.set_available(MODEL, 2, available=False)
        assert seen(await send(client)) == (200, "1", "stable")
        # Now it does.
        calls = trial.calls[Method.PREDICT]
        assert seen(await send(client)) == (200, "1", "stable")
        assert trial.calls[Method.PREDICT] == calls + 1


async def test_a_trial_begins_and_ends_without_a_restart(trial: FakeBackend) -> None:
    del trial.labels[MODEL, "canary"]
    async with gateway_client(trial_settings(trial, sport_model_canary_share=1.0)) as client:
        assert seen(await send(client)) == (200, "1", "stable")
        trial.labels[MODEL, "canary"] = 2
        async with asyncio.timeout(20):
            while seen(await send(client)) != (200, "2", "canary"):
                await asyncio.sleep(0.01)
        del trial.labels[MODEL, "canary"]
        async with asyncio.timeout(20):
            while seen(await send(client)) != (200, "1", "stable"):
                await asyncio.sleep(0.01)


async def test_a_version_that_fails_on_a_picture_costs_nobody_the_answer(
    trial: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = trial.predict

    def broken(request: Any) -> Any:
        if request.model_spec.version.value == 2:
            raise Refused(grpc.StatusCode.INTERNAL, "the graph is broken")
        return honest(request)

    monkeypatch.setattr(trial, "predict", broken)
    await trial.stop()
    await trial.start()
    async with gateway_client(trial_settings(trial, sport_model_canary_share=1.0)) as client:
        async with asyncio.timeout(20):
            while True:
                assert seen(await send(client, "canary")) == (200, "1", "stable")
                found = await scrape(client)
                if found.value("canary_misses_total", model=MODEL, reason="failed"):
                    break


@pytest.mark.parametrize("how", SPOILT)
async def test_an_answer_that_cannot_be_read_costs_nobody_the_answer(trial: FakeBackend, how: str) -> None:
    async with gateway_client(trial_settings(trial, sport_model_canary_share=1.0)) as client:
        trial.versions[MODEL, 2] = spoilt(trial.versions[MODEL, 2], how)
        async with asyncio.timeout(20):
            while True:
                assert seen(await send(client)) == (200, "1", "stable")
                found = await scrape(client)
                if found.value("canary_misses_total", model=MODEL, reason="failed"):
                    break
        trial.versions[MODEL, 1] = spoilt(trial.versions[MODEL, 1], how)
        assert_problem(await send(client), 502, "model-server-failed", "version 1", "cannot be read")


async def test_a_trial_with_outputs_of_another_type_is_not_used(
    trial: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway_client(trial_settings(trial, sport_model_canary_share=1.0)) as client:
        await until_there(client)
        trial.versions[MODEL, 2] = numbered(trial.versions[MODEL, 2])
        async with asyncio.timeout(20):
            while "version 2: the output class_ids must be string, not int64" not in caplog.text:
                # Until the gateway has looked, it asks the version and cannot read the answer.
                assert seen(await send(client)) == (200, "1", "stable")
        calls = trial.calls[Method.PREDICT]
        assert seen(await send(client)) == (200, "1", "stable")
        assert trial.calls[Method.PREDICT] == calls + 1


async def test_a_server_that_is_busy_is_not_asked_twice(trial: FakeBackend) -> None:
    async with gateway_client(trial_settings(trial, sport_model_canary_share=1.0)) as client:
        await until_there(client)
        trial.fail(Method.PREDICT, grpc.StatusCode.UNAVAILABLE, "the queue is full")
        before = trial.calls[Method.PREDICT]
        answer = await send(client)
        assert answer.status_code == 503
        once = trial.calls[Method.PREDICT] - before
        before = trial.calls[Method.PREDICT]
        assert (await send(client, "stable")).status_code == 503
        assert trial.calls[Method.PREDICT] - before <= once


async def test_without_a_share_nobody_asks_for_the_label_until_a_caller_does(trial: FakeBackend) -> None:
    del trial.labels[MODEL, "canary"]
    labels: list[str] = []
    honest = trial._find

    def noting(spec: Any) -> Any:
        labels.append(spec.version_label)
        return honest(spec)

    trial._find = noting  # type: ignore[method-assign]
    settings = trial_settings(trial, model_refresh_seconds=3600.0)
    async with gateway_client(settings) as client:
        await send(client)
        assert "canary" not in labels
        for _ in range(3):
            assert seen(await send(client, "canary")) == (200, "1", "stable")
        # What is not there is remembered for as long as a look lasts.
        assert labels.count("canary") == 1


async def test_looking_for_a_trial_takes_no_longer_than_the_caller_waits(trial: FakeBackend) -> None:
    settings = trial_settings(trial, model_refresh_seconds=3600.0)
    async with gateway_client(settings) as client:
        assert seen(await send(client)) == (200, "1", "stable")
        with trial.hold(Method.METADATA):
            answer = await client.post(
                PREDICT, headers={LABEL: "canary", "X-Request-Timeout": "0.3"}, files={"file": grey_jpeg(0)}
            )
    assert_problem(answer, 504, "deadline-exceeded", "X-Request-Timeout")
