"""Makes the classifiers out of the settings: each model with its versions, watched in the background."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

from app.classifier import PictureClassifier
from app.decoding import DecodePool
from app.metrics.recorder import Recorder
from app.rankings import AnswerForm, RankedT
from app.served_model import ServedModel
from app.settings import Settings
from app.shadow import Shadow, ShadowLimits
from app.shares import SILVER, Share
from app.tracing.tracing import Tracing
from app.traffic import LabelledClassifier
from app.traffic_settings import CANARY_LABEL
from proto_client import ModelServerClient, RetryPolicy

# The question which version is live is a small one; a server that takes longer for it counts as away.
_METADATA_TIMEOUT_SECONDS: Final = 2.0


class Classifiers:
    """Makes classifiers that share a client and a decoding pool.

    Args:
        stack: What they open is closed with it.
        settings: The settings.
        client: Asks the model server.
        pool: Decodes.
        recorder: Takes measurements.
        tracing: Traces.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        settings: Settings,
        client: ModelServerClient,
        pool: DecodePool,
        *,
        recorder: Recorder,
        tracing: Tracing,
    ) -> None:
        self._stack = stack
        self._settings = settings
        self._client = client
        self._pool = pool
        self._recorder = recorder
        self._tracing = tracing

    async def open(
        self,
        name: str,
        form: AnswerForm[RankedT],
        *,
        label: str | None,
        canary_share: float,
        shadow_share: float,
    ) -> LabelledClassifier[RankedT]:
        """Make one.

        Args:
            name: The model's name on the model server.
            form: What it answers with.
            label: The label of the version that all get; None for the latest.
            canary_share: Who gets the one under the label canary.
            shadow_share: Whose pictures a second version sees too.
        """
        stable = self._served(self._client, name, form, label)
        canary = self._served(self._client, name, form, CANARY_LABEL)
        await self._watch(stable)
        # Where nobody is sent there by a share, it is only looked for when a caller asks for it.
        if canary_share:
            await self._watch(canary)
        return LabelledClassifier(
            self._classifier(stable, form),
            self._classifier(canary, form),
            share=Share(canary_share),
            shadow=await self._shadow(name, form, shadow_share) if shadow_share else None,
            timeout=self._settings.predict_timeout_seconds,
            recorder=self._recorder,
        )

    def _served(
        self, client: ModelServerClient, name: str, form: AnswerForm[RankedT], label: str | None
    ) -> ServedModel:
        return ServedModel(
            client,
            name,
            form.outputs,
            label=label,
            refresh_seconds=self._settings.model_refresh_seconds,
            timeout=_METADATA_TIMEOUT_SECONDS,
            retry_after=self._settings.retry_after_seconds,
        )

    def _classifier(self, served: ServedModel, form: AnswerForm[RankedT]) -> PictureClassifier[RankedT]:
        return PictureClassifier(
            self._client,
            served,
            form,
            self._pool,
            timeout=self._settings.predict_timeout_seconds,
            retry_after=self._settings.retry_after_seconds,
            recorder=self._recorder,
            tracing=self._tracing,
        )

    async def _shadow(self, name: str, form: AnswerForm[RankedT], share: float) -> Shadow[RankedT]:
        settings = self._settings
        # No observer: its calls are not callers', and alerts look at those.
        client = await self._stack.enter_async_context(
            ModelServerClient(
                settings.model_server,
                settings=replace(settings.model_server_channel, retry=RetryPolicy(attempts=1)),
                tls=settings.model_server_tls_files,
            )
        )
        served = self._served(client, name, form, settings.shadow_label)
        await self._watch(served)
        shadow = Shadow(
            client,
            served,
            form,
            # Another sequence than the canary's, or the two choices would go along with each other.
            share=Share(share, step=SILVER),
            limits=ShadowLimits(
                queue=settings.shadow_queue,
                memory_bytes=settings.shadow_memory_bytes,
                concurrency=settings.shadow_concurrency,
                timeout=settings.shadow_timeout_seconds,
                max_pixels=min(settings.large_picture_pixels, settings.max_pixels),
            ),
            recorder=self._recorder,
        )
        await self._stack.enter_async_context(shadow.running())
        return shadow

    async def _watch(self, served: ServedModel) -> None:
        await self._stack.enter_async_context(_in_background(served))


@asynccontextmanager
async def _in_background(model: ServedModel) -> AsyncIterator[None]:
    watching = asyncio.create_task(model.watch(), name=f"watch {model.name}")
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
