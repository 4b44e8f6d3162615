"""Paths with and without the slash at their end."""

import httpx
import pytest

from app.settings import Settings
from tests.support.gateway import PREDICT_V2, Endpoint, gateway_client
from tests.support.pictures import grey_jpeg
from tests.support.scrape import scrape

# As a proxy would say it that nobody trusts here.
BY_HTTPS = {"X-Forwarded-Proto": "https", "Host": "api.example.com"}


async def test_a_picture_may_be_sent_without_the_slash(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    wanted = await client.post(endpoint.path, files={"file": grey_jpeg(0)})
    answer = await client.post(endpoint.path.rstrip("/"), headers=BY_HTTPS, files={"file": grey_jpeg(0)})
    assert (answer.status_code, answer.json()) == (200, wanted.json())
    files = [("files", grey_jpeg(0)), ("files", grey_jpeg(0))]
    batch = await client.post(endpoint.path + "batch", headers=BY_HTTPS, files=files)
    assert [one["predictions"] for one in batch.json()["data"]] == [wanted.json()["data"]] * 2


@pytest.mark.parametrize(
    "path",
    [
        "/sports/",
        "/sports//",
        "/groups/",
        "/healthz/",
        "/docs/",
        "/sports/baseball/",
        "/nowhere",
        "/nowhere/",
        "//",
        "/",
    ],
)
async def test_no_answer_leads_elsewhere(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers=BY_HTTPS)
    assert "location" not in answer.headers
    assert answer.status_code == (404 if path.strip("/") in {"nowhere", ""} else 200)


@pytest.mark.parametrize("path", ["/sports", "/sports/"])
async def test_a_method_that_is_not_there_is_so_in_both_spellings(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.delete(path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


async def test_the_document_and_the_metrics_know_one_spelling(settings: Settings) -> None:
    async with gateway_client(settings) as client:
        assert PREDICT_V2.rstrip("/") not in (await client.get("/openapi.json")).json()["paths"]
        for path in (PREDICT_V2, PREDICT_V2.rstrip("/")):
            assert (await client.post(path, files={"file": grey_jpeg(0)})).status_code == 200
        await client.post("/nowhere", files={"file": grey_jpeg(0)})
        found = await scrape(client)
    assert found.value("http_requests_total", route=PREDICT_V2, method="POST", status="200") == 2
    assert found.value("http_requests_total", route="unmatched", method="POST", status="404") == 1
