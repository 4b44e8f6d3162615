"""Tracing by OpenTelemetry. Imported only where it is switched on: the SDK takes some 6 MB."""

import asyncio
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

from fastapi.telemetry import TelemetryConfig
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.middleware.observation import PROBES
from app.tracing.sampling import DiscreetSampler
from app.tracing.tracing import TracedStage, Tracing

# A collector that is away must not keep a gateway from stopping.
_STOP_SECONDS: Final = 5.0

_NOTHING: Final = nullcontext()


class OpenTelemetryTracing(Tracing):
    """One span for each request, made by FastAPI, with one below it for each stage.

    Where the spans go is told by OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT` and its kin).

    Args:
        ratio: The share of requests that is traced, 0 to 1, where the caller has not decided.
        version: The gateway's version.
        exporter: Takes the spans; without it, they go over OTLP/HTTP to where the variables say.
    """

    def __init__(self, *, ratio: float, version: str, exporter: SpanExporter | None = None) -> None:
        resource = Resource({"service.name": "sportvision-gateway", "service.version": version})
        self._provider = TracerProvider(
            sampler=DiscreetSampler(ratio),
            resource=resource.merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
        )
        self._exporter = exporter
        self._tracer = self._provider.get_tracer("app", version)
        # Not the process's global one: that would pass callers' baggage on as well.
        self._propagator = TraceContextTextMapPropagator()

    def telemetry(self) -> TelemetryConfig:
        """See `Tracing`. FastAPI makes no spans for single messages, and none for its own steps here."""
        return {
            **super().telemetry(),
            "tracing": True,
            "tracer_provider": self._provider,
            "exclude": _is_probe,
        }

    def stage(self, stage: TracedStage, model: str) -> AbstractContextManager[None]:
        """See `Tracing`."""
        if not get_current_span().is_recording():
            return _NOTHING
        return self._stage(stage, model)

    @contextmanager
    def _stage(self, stage: TracedStage, model: str) -> Iterator[None]:
        attributes = {"sportvision.model": model}
        kind = SpanKind.INTERNAL
        if stage == "inference":
            kind = SpanKind.CLIENT
            attributes |= {
                "rpc.system.name": "grpc",
                "rpc.method": "tensorflow.serving.PredictionService/Predict",
            }
        with self._tracer.start_as_current_span(
            stage, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                # The kind of the error only: messages quote what callers sent.
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    def call_metadata(self) -> Sequence[tuple[str, str]]:
        """See `Tracing`. Nothing outside a request, so that the looks at the versions start no traces."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return tuple(carrier.items())

    def start(self) -> None:
        """See `Tracing`. Starts the thread that sends."""
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter or OTLPSpanExporter()))

    async def stop(self) -> None:
        """See `Tracing`."""
        # The SDK would wait for half a minute. A daemon, so that the process can end without it.
        stopping = threading.Thread(target=self._provider.shutdown, name="stop tracing", daemon=True)
        stopping.start()
        await asyncio.to_thread(stopping.join, _STOP_SECONDS)


def _is_probe(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") in PROBES
