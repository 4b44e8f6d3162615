"""Alive and ready: what load balancers and Kubernetes' probes are told."""

import asyncio

import httpx
import pytest

from app.settings import Settings
from tests.app.test_errors import assert_problem
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import MODEL, PRODUCT_MODEL, gateway_client, gateway_settings

BOTH = [{"name": MODEL, "version": 1}, {"name": PRODUCT_MODEL, "version": 1}]


async def test_readiness_tells_models_and_versions(client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "models": BOTH, "missing": []}


async def test_not_ready_while_the_sport_model_loads_and_ready_after(
    backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    backend.add_version(MODEL, 1, available=False)
    answer = await client.get("/readyz")
    assert_problem(answer, 503, "service-unavailable", "version 1 is LOADING")
    assert (await client.get("/healthz")).status_code == 200
    backend.set_available(MODEL, 1, available=True)
    assert (await client.get("/readyz")).status_code == 200


async def test_not_ready_without_the_model_server_and_ready_once_it_comes(
    backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    await backend.stop()
    answer = await client.get("/readyz")
    assert_problem(answer, 503, "service-unavailable", MODEL, "UNAVAILABLE")
    assert backend.target not in answer.text
    await backend.start()
    async with asyncio.timeout(20):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.02)


async def test_ready_without_the_product_model_which_is_named(
    backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    backend.set_available(PRODUCT_MODEL, 1, available=False)
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["models"] == BOTH[:1]
    (missing,) = answer.json()["missing"]
    assert missing["name"] == PRODUCT_MODEL
    assert "version 1 is END" in missing["reason"]
    backend.set_available(PRODUCT_MODEL, 1, available=True)
    assert (await client.get("/readyz")).json()["missing"] == []


async def test_ready_with_a_model_server_that_never_had_a_product_model(
    backend: FakeBackend, settings: Settings
) -> None:
    del backend.versions[PRODUCT_MODEL, 1]
    async with gateway_client(settings) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert "product_classifier is not loaded" in answer.json()["missing"][0]["reason"]


@pytest.mark.parametrize("needs", ["product", "sport,product", '["product"]'])
async def test_not_ready_without_a_model_that_is_needed(backend: FakeBackend, needs: str) -> None:
    backend.set_available(PRODUCT_MODEL, 1, available=False)
    async with gateway_client(gateway_settings(backend.target, ready_needs=needs)) as client:
        answer = await client.get("/readyz")
        assert_problem(answer, 503, "service-unavailable", PRODUCT_MODEL)
        backend.set_available(PRODUCT_MODEL, 1, available=True)
        assert (await client.get("/readyz")).status_code == 200


async def test_a_gateway_of_products_needs_no_sport_model(backend: FakeBackend) -> None:
    backend.set_available(MODEL, 1, available=False)
    async with gateway_client(gateway_settings(backend.target, ready_needs="product")) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["models"]) == (200, BOTH[1:])
    assert [missing["name"] for missing in answer.json()["missing"]] == [MODEL]


async def test_a_model_that_is_switched_off_is_neither_asked_nor_missed(backend: FakeBackend) -> None:
    async with gateway_client(gateway_settings(backend.target, product_model="")) as client:
        answer = await client.get("/readyz")
    assert answer.json() == {"status": "ready", "models": BOTH[:1], "missing": []}
