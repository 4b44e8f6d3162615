"""What lives as long as the app does, made at start and closed in reverse order."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from fastapi import Depends, Request

from accounts.limits import Limiter
from app.admission import Admission
from app.auth import TokenCheck
from app.caching import CacheableDocument
from app.catalogue_documents import CatalogueDocuments
from app.classifiers import Classifiers
from app.connections import Connections
from app.decoding import DecodePool
from app.draining import Draining
from app.limits.opening import open_limits, open_shared_limiter
from app.limits.passing import Limits
from app.metrics.exposition import Exposition
from app.metrics.recorder import Recorder
from app.product_documents import product_types_document
from app.rankings import CLASSES, TYPES_WITH_GROUPS, RankedClass, RankedType
from app.served_model import ServedModel
from app.settings import ModelKind, Settings
from app.tracing.tracing import Tracing
from app.traffic import LabelledClassifier
from catalogue import Catalogue, load_catalogue, load_products
from proto_client import ModelServerClient

if TYPE_CHECKING:
    # A gateway without accounts has no use for SQLAlchemy, which is large.
    from accounts.opening import Accounts
    from app.self_service import SelfService


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes use.

    Attributes:
        settings: The settings.
        recorder: Takes measurements.
        exposition: Shows them; None where metrics are switched off.
        tracing: Traces.
        draining: Whether this process is on its way out.
        connections: The open connections.
        admission: How much work is taken on.
        token_check: The tokens of the settings.
        accounts: Accounts with their tokens; None where they are switched off.
        limiter: Counts whatever is limited, for all replicas where there is a Redis.
        limits: How much callers may do, and what they have done.
        self_service: What people do about their own accounts and subscriptions; None where accounts are off.
        catalogue: The sports.
        catalogue_documents: The answers about sports and groups.
        product_types: The answer about product types.
        sport_classifier: Asks the sport model.
        product_classifier: Asks the product model; None where the settings name none.
    """

    settings: Settings
    recorder: Recorder
    exposition: Exposition | None
    tracing: Tracing
    draining: Draining
    connections: Connections
    admission: Admission
    token_check: TokenCheck
    accounts: "Accounts | None"
    limiter: Limiter
    limits: Limits
    self_service: "SelfService | None"
    catalogue: Catalogue
    catalogue_documents: CatalogueDocuments
    product_types: CacheableDocument
    sport_classifier: LabelledClassifier[RankedClass]
    product_classifier: LabelledClassifier[RankedType] | None

    @property
    def served_models(self) -> Mapping[ModelKind, ServedModel]:
        """Every model that the settings name."""
        classifiers: dict[ModelKind, LabelledClassifier[Any] | None] = {
            "sport": self.sport_classifier,
            "product": self.product_classifier,
        }
        return {kind: one.served for kind, one in classifiers.items() if one is not None}


class LifespanState(TypedDict):
    """What Starlette copies into every request's state."""

    services: Services


@asynccontextmanager
async def open_services(
    settings: Settings,
    recorder: Recorder,
    exposition: Exposition | None,
    tracing: Tracing,
    draining: Draining,
) -> AsyncIterator[Services]:
    """Make the services, and close them when the block ends."""
    async with AsyncExitStack() as stack:
        tracing.start()
        stack.push_async_callback(tracing.stop)
        accounts = await _accounts(settings, stack)
        limiter = await open_shared_limiter(settings, recorder, stack)
        database = None if accounts is None else accounts.database
        limits = await open_limits(settings, limiter, recorder, stack, database)
        self_service = await _open_self_service(settings, accounts, limiter, recorder, stack)
        pool = stack.enter_context(
            DecodePool(
                workers=settings.decode_workers,
                queue=settings.decode_queue,
                max_wait=settings.decode_wait_seconds,
                max_pixels=settings.max_pixels,
                large_pixels=settings.large_picture_pixels,
                max_large=settings.max_large_pictures,
                inline_pixels=settings.inline_decode_pixels,
                retry_after=settings.retry_after_seconds,
                recorder=recorder,
            )
        )
        client = await stack.enter_async_context(
            ModelServerClient(
                settings.model_server,
                settings=settings.model_server_channel,
                tls=settings.model_server_tls_files,
                observer=recorder,
                call_metadata=tracing.call_metadata,
            )
        )

        classifiers = Classifiers(stack, settings, client, pool, recorder=recorder, tracing=tracing)
        catalogue = load_catalogue(settings.catalogue_file)
        yield Services(
            settings=settings,
            recorder=recorder,
            exposition=exposition,
            tracing=tracing,
            draining=draining,
            connections=Connections(
                limit=settings.max_connections,
                head_seconds=settings.header_timeout_seconds,
                recorder=recorder,
            ),
            admission=Admission(
                max_in_flight=settings.max_in_flight,
                max_upload_bytes=settings.max_upload_memory_bytes,
                retry_after=settings.retry_after_seconds,
                recorder=recorder,
                decoding_full=lambda: pool.full,
            ),
            token_check=TokenCheck(token.get_secret_value() for token in settings.tokens),
            accounts=accounts,
            limiter=limiter,
            limits=limits,
            self_service=self_service,
            catalogue=catalogue,
            catalogue_documents=CatalogueDocuments(catalogue),
            product_types=product_types_document(load_products(catalogue, settings.products_file)),
            sport_classifier=await classifiers.open(
                settings.sport_model,
                CLASSES,
                label=settings.sport_model_label,
                canary_share=settings.sport_model_canary_share,
                shadow_share=settings.sport_model_shadow_share,
            ),
            product_classifier=(
                await classifiers.open(
                    settings.product_model,
                    TYPES_WITH_GROUPS,
                    label=settings.product_model_label,
                    canary_share=settings.product_model_canary_share,
                    shadow_share=settings.product_model_shadow_share,
                )
                if settings.product_model
                else None
            ),
        )


async def _accounts(settings: Settings, stack: AsyncExitStack) -> "Accounts | None":
    if not settings.accounts_on:
        return None
    from accounts.opening import open_accounts

    return await stack.enter_async_context(open_accounts(settings))


async def _open_self_service(
    settings: Settings,
    accounts: "Accounts | None",
    limiter: Limiter,
    recorder: Recorder,
    stack: AsyncExitStack,
) -> "SelfService | None":
    if accounts is None:
        return None
    from app.self_service import open_self_service

    return await stack.enter_async_context(open_self_service(settings, accounts, limiter, recorder))


# Async, since FastAPI sends any other dependency through a thread.
async def _services(request: Request) -> Services:
    services: Services = request.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
