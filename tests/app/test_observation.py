"""The line that is logged for each request."""

import logging
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.logs import JsonFormatter
from app.metrics.recorder import Recorder
from app.middleware.observation import ObservationMiddleware
from app.middleware.request_id import RequestIdMiddleware
from tests.support.gateway import MODEL, PREDICT, TOKEN
from tests.support.pictures import grey_jpeg


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[Mapping[str, Any]]:
    return [vars(record)["fields"] for record in log.records if record.name == "app.access"]


async def test_one_line_tells_route_status_time_and_model(
    client: httpx.AsyncClient, log: pytest.LogCaptureFixture
) -> None:
    await client.post(PREDICT, files={"file": grey_jpeg(0)}, headers={"X-Request-ID": "mine"})
    (line,) = lines(log)
    assert line["duration_ms"] > 0
    assert {**line, "duration_ms": 0} == {
        "request_id": "mine",
        "method": "POST",
        "route": PREDICT,
        "status": 200,
        "duration_ms": 0,
        "model": MODEL,
        "model_version": 1,
    }


async def test_refusals_are_logged_and_probes_that_go_well_are_not(
    client: httpx.AsyncClient, log: pytest.LogCaptureFixture
) -> None:
    for path in ("/healthz", "/metrics", "/nothing", "/sports/search/x"):
        await client.get(path)
    await client.post(PREDICT, headers={"Authorization": ""})
    seen = [(line["route"], line["status"]) for line in lines(log)]
    assert seen == [("unmatched", 404), ("/sports/search/{query:path}", 200), (PREDICT, 401)]


async def test_wherever_a_caller_puts_the_token_no_log_shows_it(
    client: httpx.AsyncClient, log: pytest.LogCaptureFixture
) -> None:
    log.set_level(logging.DEBUG, "app")
    picture = grey_jpeg(0)
    places: list[dict[str, Any]] = [
        {"headers": {"Authorization": f"Bearer {TOKEN}"}},
        {"params": {"token": TOKEN, "top_k": TOKEN}},
        {"headers": {"X-Request-ID": TOKEN}},
        {"files": {TOKEN: (TOKEN, picture)}},
    ]
    for place in places:
        await client.post(PREDICT, **{"files": {"file": (TOKEN, picture)}, **place})
        await client.get(f"/sports/search/{TOKEN}", params=place.get("params"), headers=place.get("headers"))
        await client.get(f"/{TOKEN}")
    # uvicorn's own access log names paths and queries, and so is off where the gateway runs (test_process.py).
    ours = [record for record in log.records if record.name.startswith("app.")]
    assert len(ours) >= 3 * len(places)
    formatter = JsonFormatter([TOKEN])
    written = "".join(formatter.format(record) for record in ours)
    assert TOKEN not in written
    assert "JFIF" not in written
    # Even unformatted, it is nowhere but where a caller chose it as the request's id.
    for record in ours:
        if vars(record).get("fields", {}).get("request_id") != TOKEN:
            assert TOKEN not in str(vars(record))


async def test_a_fault_of_ours_is_a_500_with_its_request_id(log: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("no such thing")

    app = ObservationMiddleware(RequestIdMiddleware(broken), Recorder())
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise NotImplementedError

    await app({"type": "http", "method": "GET", "headers": [(b"x-request-id", b"me")]}, receive, send)
    assert sent[0]["status"] == 500
    (line,) = lines(log)
    assert (line["status"], line["request_id"], line["route"]) == (500, "me", "unmatched")
    (failure,) = [record for record in log.records if record.levelno == logging.ERROR]
    assert failure.getMessage() == "request failed"
    assert failure.exc_info is not None
