"""What lives as long as the app does, made at start and closed in reverse order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, TypedDict

from fastapi import Depends, Request

from app.auth import TokenCheck
from app.catalogue_documents import CatalogueDocuments
from app.classifier import PictureClassifier
from app.decoding import DecodePool
from app.served_model import ServedModel
from app.settings import Settings
from catalogue import Catalogue, load_catalogue
from proto_client import ModelServerClient

# The question which version is live is a small one; a server that takes longer for it counts as away.
_METADATA_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes use."""

    settings: Settings
    token_check: TokenCheck
    catalogue: Catalogue
    catalogue_documents: CatalogueDocuments
    sport_model: ServedModel
    sport_classifier: PictureClassifier


class LifespanState(TypedDict):
    """What Starlette copies into every request's state."""

    services: Services


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Make the services, and close them when the block ends."""
    async with AsyncExitStack() as stack:
        pool = stack.enter_context(
            DecodePool(
                workers=settings.decode_workers,
                queue=settings.decode_queue,
                max_pixels=settings.max_pixels,
                retry_after=settings.retry_after_seconds,
            )
        )
        client = await stack.enter_async_context(ModelServerClient(settings.model_server))
        sport_model = ServedModel(
            client,
            settings.sport_model,
            label=settings.sport_model_label,
            refresh_seconds=settings.model_refresh_seconds,
            timeout=_METADATA_TIMEOUT_SECONDS,
            retry_after=settings.retry_after_seconds,
        )
        await stack.enter_async_context(_in_background(sport_model))
        catalogue = load_catalogue(settings.catalogue_file)
        yield Services(
            settings=settings,
            token_check=TokenCheck(token.get_secret_value() for token in settings.tokens),
            catalogue=catalogue,
            catalogue_documents=CatalogueDocuments(catalogue),
            sport_model=sport_model,
            sport_classifier=PictureClassifier(
                client,
                sport_model,
                pool,
                timeout=settings.predict_timeout_seconds,
                retry_after=settings.retry_after_seconds,
            ),
        )


@asynccontextmanager
async def _in_background(model: ServedModel) -> AsyncIterator[None]:
    watching = asyncio.create_task(model.watch(), name=f"watch {model.name}")
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


# Async, since FastAPI sends any other dependency through a thread.
async def _services(request: Request) -> Services:
    services: Services = request.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
