"""The app, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.errors import add_error_handlers
from app.metrics.exposition import Exposition
from app.metrics.prometheus import Limits, PrometheusRecorder
from app.metrics.recorder import Recorder
from app.middleware.observation import ObservationMiddleware
from app.middleware.request_id import RequestIdMiddleware
from app.middleware.unread_body import UnreadBodyMiddleware
from app.openapi import describe_problems_once
from app.routes import catalogue, health, metrics, product_classifier, sport_classifier
from app.services import LifespanState, open_services
from app.settings import Settings

VERSION = "0.1.0"


def create_app(settings: Settings) -> FastAPI:
    """Make the gateway. Nothing is opened before the app starts, and nothing is global.

    Args:
        settings: All there is to set; nothing else is read from the environment.
    """
    recorder, exposition = _recording(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[LifespanState]:
        async with open_services(settings, recorder, exposition) as services:
            yield {"services": services}

    app = FastAPI(
        title="Sport Vision",
        version=VERSION,
        summary="Which sport is in the picture?",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
    )
    add_error_handlers(app)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(sport_classifier.router)
    app.include_router(product_classifier.router)
    app.include_router(catalogue.router)
    describe_problems_once(app)
    # The last one added is the outermost.
    app.add_middleware(RequestIdMiddleware)
    app.add_middleware(ObservationMiddleware, recorder=recorder)
    app.add_middleware(UnreadBodyMiddleware)
    return app


def _recording(settings: Settings) -> tuple[Recorder, Exposition | None]:
    if not settings.metrics:
        return Recorder(), None
    limits = Limits(
        work=settings.max_in_flight,
        upload_bytes=settings.max_upload_memory_bytes,
        decode_queue=settings.decode_queue,
        decode_workers=settings.decode_workers,
    )
    recorder = PrometheusRecorder(limits)
    return recorder, Exposition(recorder, VERSION)
