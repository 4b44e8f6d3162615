"""What the gateway shows of itself at /metrics."""

import asyncio
import re
from pathlib import Path

import grpc
import httpx
import pytest
from prometheus_client import CollectorRegistry

from app.main import create_app
from app.metrics.exposition import Exposition
from app.metrics.instruments import Instruments
from app.metrics.predictions import MAX_CLASSES, MAX_VERSIONS, PredictionMetrics
from app.metrics.prometheus import Limits, PrometheusRecorder
from tests.app.test_errors import assert_problem
from tests.support.fake_backend import FakeBackend, Method
from tests.support.gateway import MODEL, PREDICT, PRODUCT_MODEL, TOKEN, gateway_client, gateway_settings
from tests.support.pictures import grey_jpeg
from tests.support.scrape import Scrape, scrape

LIMITS = Limits(connections=10, work=3, upload_bytes=1000, decode_queue=2, decode_workers=1)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


async def test_an_answered_picture_leaves_its_marks(client: httpx.AsyncClient) -> None:
    picture = grey_jpeg(0)
    answer = await client.post(PREDICT, files={"file": picture})
    found = await scrape(client)
    assert found.value("http_requests_total", route=PREDICT, method="POST", status="200") == 1
    assert found.value("http_request_duration_seconds_count", route=PREDICT, status_class="2xx") == 1
    for stage in ("read", "queue", "decode", "inference", "encode"):
        assert found.value("stage_duration_seconds_count", stage=stage, model=MODEL) == 1, stage
    assert found.value("upload_bytes_sum") == len(picture)
    likeliest = answer.json()["data"][0]
    labels = {"model": MODEL, "version": "1"}
    assert found.value("predicted_class_total", class_id=likeliest["id"], **labels) == 1
    assert found.value("top1_probability_sum", **labels) == pytest.approx(likeliest["probability"], abs=1e-4)
    assert found.value("grpc_calls_total", model=MODEL, method="Predict", code="OK") == 1
    assert found.value("grpc_call_duration_seconds_count", model=MODEL, method="Predict") == 1
    # The scrape itself is in flight, and nothing else is.
    assert found.value("http_requests_in_flight") == 1
    for gauge in ("work_in_flight", "upload_memory_bytes"):
        assert found.value(gauge) == 0
    for state in ("waiting", "running"):
        assert found.value("decode_pictures", state=state) == 0


async def test_the_stages_of_a_request_are_within_its_time(client: httpx.AsyncClient) -> None:
    await client.post(PREDICT, files={"file": grey_jpeg(0)})
    found = await scrape(client)
    stages = [labels for labels in found.labels("stage_duration_seconds_sum") if labels["model"] == MODEL]
    spent = sum(found.value("stage_duration_seconds_sum", **labels) for labels in stages)
    assert 0 < spent <= found.value("http_request_duration_seconds_sum", route=PREDICT, status_class="2xx")


async def test_models_and_limits(client: httpx.AsyncClient, backend: FakeBackend) -> None:
    await client.get("/readyz")
    found = await scrape(client)
    for model in (MODEL, PRODUCT_MODEL):
        assert found.value("model_available", model=model) == 1
        assert found.value("model_version_info", model=model, version="1") == 1
    assert found.value("work_in_flight_limit") == 128
    assert found.value("upload_memory_limit_bytes") == 256_000_000
    assert (found.value("decode_queue_limit"), found.value("decode_workers")) == (64, 2)
    backend.set_available(MODEL, 1, available=False)
    await client.get("/readyz")
    found = await scrape(client)
    assert found.value("model_available", model=MODEL) == 0
    assert {"model": MODEL, "version": "1"} not in found.labels("model_version_info")


async def test_a_model_server_that_is_away_shows(client: httpx.AsyncClient, backend: FakeBackend) -> None:
    await client.get("/readyz")
    await backend.stop()
    assert (await client.post(PREDICT, files={"file": grey_jpeg(0)})).status_code == 503
    await client.get("/readyz")
    found = await scrape(client)
    assert found.value("grpc_calls_total", model=MODEL, method="Predict", code="UNAVAILABLE") == 1
    assert found.value("model_available", model=MODEL) == 0
    assert found.value("shed_total", reason="in_flight") == 0
    await backend.start()


async def test_retries_show(client: httpx.AsyncClient, backend: FakeBackend) -> None:
    backend.fail(Method.PREDICT, grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted", times=2)
    assert (await client.post(PREDICT, files={"file": grey_jpeg(0)})).status_code == 200
    found = await scrape(client)
    assert found.value("grpc_retries_total", model=MODEL, method="Predict") == 2
    assert found.value("grpc_calls_total", model=MODEL, method="Predict", code="OK") == 1


async def test_a_call_that_its_caller_gave_up_is_counted_as_cancelled(
    backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    with backend.hold(Method.PREDICT):
        asking = asyncio.create_task(client.post(PREDICT, files={"file": grey_jpeg(0)}))
        await backend.wait_calls(Method.PREDICT, 1)
        found = await scrape(client)
        assert (found.value("work_in_flight"), found.value("http_requests_in_flight")) == (1, 2)
        assert found.value("upload_memory_bytes") == len(grey_jpeg(0))
        asking.cancel()
        await backend.wait_cancelled(Method.PREDICT, 1)
    async with asyncio.timeout(20):
        while (found := await scrape(client)).value("work_in_flight"):
            await asyncio.sleep(0.01)
    assert found.value("grpc_calls_total", model=MODEL, method="Predict", code="CANCELLED") == 1


async def test_paths_methods_and_queries_of_callers_make_no_series(client: httpx.AsyncClient) -> None:
    for number, odd in enumerate(("LOCK", "PROPFIND", "TRACE")):
        await client.get(f"/nothing/{number}", params={"token": TOKEN})
        await client.request(odd, "/nothing")
        await client.get(f"/sports/{9_000_000 + number}")
    await client.get(PREDICT)
    await client.get("/sports/search/ski")
    found = await scrape(client)
    assert found.value("http_requests_total", route="unmatched", method="GET", status="404") == 3
    assert found.value("http_requests_total", route="unmatched", method="other", status="404") == 3
    assert found.value("http_requests_total", route="/sports/{sport}", method="GET", status="404") == 3
    assert found.value("http_requests_total", route=PREDICT, method="GET", status="405") == 1
    routes = {labels["route"] for labels in found.labels("http_requests_total")}
    assert routes <= {"unmatched", PREDICT, "/sports/{sport}", "/sports/search/{query:path}", "/metrics"}
    assert TOKEN not in found.text


async def test_those_who_scrape_at_the_same_time_share_one_answer() -> None:
    exposition = Exposition(PrometheusRecorder(LIMITS), "1.2.3")
    texts = await asyncio.gather(*(exposition.write({"m": None}) for _ in range(3)))
    assert texts[0] is texts[1] is texts[2]
    assert Scrape(texts[0].decode()).value("build_info", version="1.2.3") == 1


async def test_switched_off(backend: FakeBackend) -> None:
    async with gateway_client(gateway_settings(backend.target, metrics=False)) as client:
        assert (await client.post(PREDICT, files={"file": grey_jpeg(0)})).status_code == 200
        assert_problem(await client.get("/metrics"), 404, "metrics-off", "SPORTVISION_METRICS")


def test_two_apps_share_nothing_and_the_schema_knows_nothing_of_it() -> None:
    first, second = (create_app(gateway_settings("127.0.0.1:1")) for _ in range(2))
    assert first is not second
    assert "/metrics" not in first.openapi()["paths"]


@pytest.mark.parametrize("removable", [True, False])
def test_versions_and_classes_are_bounded(removable: bool) -> None:
    registry = CollectorRegistry()
    instruments = Instruments(registry)
    predictions = PredictionMetrics(instruments.top1, instruments.classes, removable=removable)
    for number in range(MAX_CLASSES + 5):
        predictions.add("m", 1, f"class {number}", 0.5)
    for version in range(2, MAX_VERSIONS + 4):
        # The first one is in use all the time, and so it stays.
        predictions.add("m", 1, "class 0", 0.5)
        predictions.add("m", version, "a", 0.5)
    counts = {
        (labels["version"], labels["class_id"]): sample.value
        for metric in instruments.classes.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and (labels := sample.labels)
    }
    versions = {version for version, _ in counts}
    assert len([1 for version, _ in counts if version == "1"]) == MAX_CLASSES + 1
    assert counts["1", "other"] == 5
    if removable:
        assert versions == {"1", *(str(number) for number in range(5, MAX_VERSIONS + 4))}
    else:
        assert versions == {"other", *(str(number) for number in range(1, MAX_VERSIONS + 1))}
        assert counts["other", "a"] == 3


def test_every_metric_is_in_the_document_and_the_other_way_round() -> None:
    recorder = PrometheusRecorder(LIMITS)
    recorder.call_ended(method="Predict", model="m", code=grpc.StatusCode.OK, seconds=1.0)
    exposition = Exposition(recorder, "1")
    text = asyncio.run(exposition.write({"m": 1}))
    shown = set()
    for name, kind in re.findall(r"^# TYPE (sportvision_\w+) (\w+)$", text.decode(), re.MULTILINE):
        if not name.endswith("_created"):
            shown.add((name, kind))
    documented = set(
        re.findall(r"^\| `(sportvision_\w+)` \| (\w+) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    )
    assert shown == documented
