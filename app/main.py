"""The app, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.account_routes import add_account_routes
from app.draining import Draining, drain_on_sigterm
from app.errors import add_error_handlers
from app.metrics.exposition import Exposition
from app.metrics.prometheus import Limits, PrometheusRecorder
from app.metrics.recorder import Recorder
from app.middleware.browsers import add_browser_middleware
from app.middleware.draining import DrainingMiddleware
from app.middleware.observation import ObservationMiddleware
from app.middleware.request_id import RequestIdMiddleware
from app.middleware.unread_body import UnreadBodyMiddleware
from app.openapi import describe_problems_once
from app.routes import catalogue, health, metrics, product_classifier, sport_classifier, usage
from app.services import LifespanState, open_services
from app.settings import Settings
from app.spelling import take_both_spellings
from app.tracing.tracing import Tracing

VERSION = "0.1.0"


def create_app(settings: Settings) -> FastAPI:
    """Make the gateway. Nothing is opened before the app starts, and nothing is global.

    Args:
        settings: All there is to set; nothing else is read from the environment, but for OpenTelemetry's own
            variables where tracing is on.
    """
    recorder, exposition = _recording(settings)
    tracing = _tracing(settings)
    draining = Draining()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[LifespanState]:
        with drain_on_sigterm(draining, settings.drain_seconds):
            async with open_services(settings, recorder, exposition, tracing, draining) as services:
                yield {"services": services}

    app = FastAPI(
        title="Sport Vision",
        version=VERSION,
        summary="Which sport is in the picture?",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        telemetry=tracing.telemetry(),
    )
    add_error_handlers(app)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(sport_classifier.router)
    app.include_router(product_classifier.router)
    app.include_router(usage.router)
    app.include_router(catalogue.router)
    add_account_routes(app, settings)
    take_both_spellings(app)
    describe_problems_once(app)
    # The last one added is the outermost.
    app.add_middleware(DrainingMiddleware, draining=draining)
    app.add_middleware(RequestIdMiddleware)
    add_browser_middleware(app, settings)
    app.add_middleware(ObservationMiddleware, recorder=recorder)
    app.add_middleware(UnreadBodyMiddleware)
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))
    return app


def _recording(settings: Settings) -> tuple[Recorder, Exposition | None]:
    if not settings.metrics:
        return Recorder(), None
    limits = Limits(
        connections=settings.max_connections,
        work=settings.max_in_flight,
        upload_bytes=settings.max_upload_memory_bytes,
        decode_queue=settings.decode_queue,
        decode_workers=settings.decode_workers,
    )
    recorder = PrometheusRecorder(limits)
    return recorder, Exposition(recorder, VERSION)


def _tracing(settings: Settings) -> Tracing:
    if not settings.tracing:
        return Tracing()
    # Only here, so that a gateway without it need not carry it.
    from app.tracing.opentelemetry import OpenTelemetryTracing

    return OpenTelemetryTracing(ratio=settings.tracing_sample_ratio, version=VERSION)
