"""Traces, as an exporter in this process sees them."""

import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import grpc
import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.logs import JsonFormatter
from app.settings import Settings
from tests.support.fake_backend import FakeBackend, Method
from tests.support.gateway import MODEL, PREDICT, TOKEN, gateway_client, gateway_settings
from tests.support.pictures import grey_jpeg

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

Traced = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr("app.tracing.opentelemetry.OTLPSpanExporter", lambda: exporter)
    return exporter


@pytest.fixture
def traced(backend: FakeBackend, exporter: InMemorySpanExporter) -> Traced:
    """A gateway with tracing on; all its spans are in the exporter once it has stopped."""

    @asynccontextmanager
    async def run(**changes: object) -> AsyncIterator[httpx.AsyncClient]:
        async with gateway_client(gateway_settings(backend.target, tracing=True, **changes)) as client:
            yield client

    return run


async def predict(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await client.post(PREDICT, files={"file": grey_jpeg(7)}, headers=headers)


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    spans = exporter.get_finished_spans()
    found = {span.name: span for span in spans}
    assert len(found) == len(spans)
    return found


def attributes(spans: Sequence[ReadableSpan]) -> str:
    return json.dumps([[span.name, dict(span.attributes or {}), span.status.description] for span in spans])


def flags(sampled: bool) -> str:
    return f"00-{TRACE}-{PARENT}-{int(sampled):02}"


async def test_a_request_has_a_span_and_one_for_each_stage(
    traced: Traced, exporter: InMemorySpanExporter
) -> None:
    async with traced() as client:
        assert (await predict(client)).status_code == 200
    spans = by_name(exporter)
    server = spans.pop(f"POST {PREDICT}")
    assert set(spans) == {"read", "decode", "inference"}
    assert server.kind is SpanKind.SERVER
    assert server.parent is None
    assert dict(server.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": PREDICT,
        "http.response.status_code": 200,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
    }
    for span in spans.values():
        assert span.parent is not None
        assert span.parent.span_id == server.context.span_id
        assert span.context.trace_id == server.context.trace_id
        assert (span.attributes or {})["sportvision.model"] == MODEL
    assert spans["inference"].kind is SpanKind.CLIENT
    assert server.resource.attributes["service.name"] == "sportvision-gateway"


async def test_both_spellings_of_a_path_are_one_route(traced: Traced, exporter: InMemorySpanExporter) -> None:
    async with traced() as client:
        answer = await client.post(PREDICT.rstrip("/"), files={"file": grey_jpeg(7)})
        assert answer.status_code == 200
    assert set(by_name(exporter)) == {f"POST {PREDICT}", "read", "decode", "inference"}


async def test_a_caller_s_trace_goes_on_to_the_model_server(
    backend: FakeBackend, traced: Traced, exporter: InMemorySpanExporter
) -> None:
    async with traced(tracing_sample_ratio=0) as client:
        await predict(client, traceparent=flags(True), tracestate="vendor=1", baggage="secret=1")
    spans = by_name(exporter)
    server, inference = spans[f"POST {PREDICT}"], spans["inference"]
    assert server.parent is not None
    assert (f"{server.parent.trace_id:032x}", f"{server.parent.span_id:016x}") == (TRACE, PARENT)
    (sent,) = backend.call_metadata[Method.PREDICT]
    assert sent["traceparent"] == f"00-{TRACE}-{inference.context.span_id:016x}-01"
    assert sent["tracestate"] == "vendor=1"
    assert "baggage" not in sent


async def test_what_the_caller_does_not_want_traced_is_not(
    backend: FakeBackend, traced: Traced, exporter: InMemorySpanExporter
) -> None:
    async with traced() as client:
        await predict(client, traceparent=flags(False))
    assert not exporter.get_finished_spans()
    (sent,) = backend.call_metadata[Method.PREDICT]
    assert sent["traceparent"].startswith(f"00-{TRACE}-")
    assert sent["traceparent"].endswith("-00")


async def test_without_a_caller_s_trace_the_ratio_decides(
    traced: Traced, exporter: InMemorySpanExporter
) -> None:
    async with traced(tracing_sample_ratio=0) as client:
        assert (await predict(client)).status_code == 200
    assert not exporter.get_finished_spans()


async def test_looks_at_the_versions_and_probes_leave_no_traces(
    backend: FakeBackend, traced: Traced, exporter: InMemorySpanExporter
) -> None:
    async with traced() as client:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await client.get(path)).status_code == 200
        await backend.wait_calls(Method.METADATA, 4)
    assert not exporter.get_finished_spans()
    assert all("traceparent" not in sent for sent in backend.call_metadata[Method.METADATA])


async def test_nothing_that_a_caller_wrote_gets_into_a_span(
    traced: Traced, exporter: InMemorySpanExporter
) -> None:
    async with traced() as client:
        await client.post(
            PREDICT,
            params={"token": TOKEN, "top_k": 3},
            files={"file": (TOKEN, grey_jpeg(7))},
            headers={"Host": TOKEN, "User-Agent": TOKEN, "X-Request-ID": TOKEN},
        )
        await client.get(f"/{TOKEN}")
        await client.post(PREDICT, params={"top_k": TOKEN}, files={"file": grey_jpeg(7)})
        await client.post(PREDICT, files={"file": TOKEN.encode()})
    spans = exporter.get_finished_spans()
    assert len([span for span in spans if span.kind is SpanKind.SERVER]) == 4
    assert not any(span.events for span in spans)
    assert TOKEN not in attributes(spans).lower()


async def test_a_failure_shows_its_kind_and_not_its_words(
    backend: FakeBackend, traced: Traced, exporter: InMemorySpanExporter
) -> None:
    backend.fail(Method.PREDICT, grpc.StatusCode.INTERNAL, "words of the server")
    async with traced() as client:
        assert (await predict(client)).status_code == 502
    spans = by_name(exporter)
    assert spans["inference"].status.status_code is StatusCode.ERROR
    assert (spans["inference"].attributes or {})["error.type"] == "ModelServerFailed"
    server = spans[f"POST {PREDICT}"]
    assert server.status.status_code is StatusCode.ERROR
    assert (server.attributes or {})["http.response.status_code"] == 502
    assert "words of the server" not in attributes(exporter.get_finished_spans())


async def test_log_records_carry_the_trace(traced: Traced, caplog: pytest.LogCaptureFixture) -> None:
    lines: list[dict[str, object]] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(json.loads(JsonFormatter([]).format(record)))  # type: ignore[method-assign]
    log = logging.getLogger("app.access")
    log.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "app.access"):
            async with traced() as client:
                await predict(client, traceparent=flags(True))
    finally:
        log.removeHandler(handler)
    (line,) = lines
    assert line["trace_id"] == TRACE


async def test_off_by_default_and_nothing_is_passed_on(
    backend: FakeBackend, settings: Settings, exporter: InMemorySpanExporter
) -> None:
    assert settings.tracing is False
    async with gateway_client(settings) as client:
        await predict(client, traceparent=flags(True))
    assert not exporter.get_finished_spans()
    (sent,) = backend.call_metadata[Method.PREDICT]
    assert "traceparent" not in sent
