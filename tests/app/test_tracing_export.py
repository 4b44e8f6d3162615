"""Traces on their way out of `python -m app`, to a collector that this test plays."""

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.tracing import opentelemetry
from tests.support.collector import collecting
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import PREDICT, TOKEN
from tests.support.pictures import grey_jpeg
from tests.support.processes import ROOT, free_port, listens, running_module, wait_until


async def test_what_was_traced_has_reached_the_collector_when_the_gateway_has_ended(
    backend: FakeBackend, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"
    with collecting() as collector:
        environment = {
            "SPORTVISION_TOKENS": TOKEN,
            "SPORTVISION_PORT": str(port),
            "SPORTVISION_MODEL_SERVER": backend.target,
            "SPORTVISION_TRACING": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
            "OTEL_SERVICE_NAME": "gateway-under-test",
            # Nothing goes out before the end by itself.
            "OTEL_BSP_SCHEDULE_DELAY": "600000",
        }
        with running_module("app", log=log, environment=environment) as process:
            await asyncio.to_thread(wait_until, "gateway", lambda: listens(port), process, log)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                answer = await client.post(
                    PREDICT, files={"file": grey_jpeg(3)}, headers={"Authorization": TOKEN}
                )
                assert answer.status_code == 200
            assert collector.requests.empty()
            process.terminate()
            await asyncio.to_thread(process.wait, 20)
        path, media_type, body = collector.requests.get_nowait()
    assert (path, media_type) == ("/v1/traces", "application/x-protobuf")
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert named["service.name"] == "gateway-under-test"
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    assert {span.name for span in spans} == {f"POST {PREDICT}", "read", "decode", "inference"}
    assert len({span.trace_id for span in spans}) == 1
    assert TOKEN.encode() not in body


async def test_a_collector_that_hangs_keeps_nobody_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Hanging(InMemorySpanExporter):
        def shutdown(self) -> None:
            entered.set()
            leave.wait(30)

    monkeypatch.setattr(opentelemetry, "_STOP_SECONDS", 0.1)
    tracing = opentelemetry.OpenTelemetryTracing(ratio=1, version="1", exporter=Hanging())
    tracing.start()
    started = time.monotonic()
    await tracing.stop()
    assert entered.is_set()
    assert time.monotonic() - started < 10
    leave.set()


def test_switched_off_it_loads_no_sdk() -> None:
    script = (
        "import sys, app.main, app.__main__\n"
        "from app.settings import Settings\n"
        "app.main.create_app(Settings.model_validate({'tokens': ['0123456789abcdef']}))\n"
        "assert not [name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'requests'))]\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, check=True)
