"""Which version of a model answers now, and what input it takes: asked of the model server, never configured."""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from app.errors import ServiceUnavailable
from proto_client import (
    InvalidRequest,
    ModelMetadata,
    ModelNotFound,
    ModelServerClient,
    ModelServerError,
    Signature,
)

INPUT = "images"
SIGNATURE = "serving_default"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveVersion:
    """A version that the model server has loaded.

    Attributes:
        version: Its number.
        height: Rows of its input.
        width: Columns of its input.
    """

    version: int
    height: int
    width: int


class UnusableModelError(Exception):
    """The model's signature is not that of a classifier of pictures; the message says where it differs."""


class ServedModel:
    """One model on the model server, and the version of it that is live.

    `watch` looks again and again in the background; `refresh` looks at once. A version that cannot be used, because
    its input or one of the `outputs` (each with its element type) that it must have is not there, never replaces one
    that can.
    """

    def __init__(
        self,
        client: ModelServerClient,
        name: str,
        outputs: Mapping[str, str],
        *,
        label: str | None,
        refresh_seconds: float,
        timeout: float,
        retry_after: int,
    ) -> None:
        self.name = name
        self._client = client
        self._outputs = outputs
        self._label = label
        self._refresh_seconds = refresh_seconds
        self._timeout = timeout
        self._retry_after = retry_after
        self._live: LiveVersion | None = None
        self._answers = False
        self._watched = False
        self._looked_at = float("-inf")
        self._refreshing: asyncio.Task[LiveVersion] | None = None

    @property
    def live_version(self) -> int | None:
        """The number of the version that was live at the last look; None where that look found none."""
        return self._live.version if self._live is not None and self._answers else None

    async def live(self) -> LiveVersion:
        """Return the version last seen live, asking the model server only where none has been seen yet.

        Raises:
            ServiceUnavailable: There is none.
        """
        return self._live or await self.refresh()

    async def if_there(self) -> LiveVersion | None:
        """Return the version that was live at the last look, or None: for what callers can do without.

        Nobody waits for a look where the model is watched. Where it is not, one is taken if the last is too old.
        """
        if not self._watched and time.monotonic() - self._looked_at >= self._refresh_seconds:
            with suppress(ServiceUnavailable):
                await self.refresh()
        return self._live if self._answers else None

    async def refresh(self) -> LiveVersion:
        """Ask the model server which version is live. Callers at the same time share one question.

        Raises:
            ServiceUnavailable: None is, or the server is away; the message gives the reason.
        """
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._look(), name=f"look at {self.name}")
            # Every caller may have gone away by the time it fails; then nobody else would read the exception.
            self._refreshing.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Shielded: one caller who goes away must not take the answer from the others.
        return await asyncio.shield(self._refreshing)

    async def watch(self) -> None:
        """Refresh for ever, logging what changes. Meant for a task that is cancelled at shutdown."""
        reason: str | None = None
        self._watched = True
        while True:
            try:
                await self.refresh()
                reason = None
            except ServiceUnavailable as problem:
                if problem.detail != reason:
                    reason = problem.detail
                    # At the start the model server may simply need longer than the gateway.
                    level = logging.WARNING if self._live else logging.INFO
                    _log.log(level, "%s (%s)", reason, problem.__cause__)
            await asyncio.sleep(self._refresh_seconds)

    async def _look(self) -> LiveVersion:
        try:
            live = await self._ask()
        except ServiceUnavailable:
            self._answers = False
            raise
        finally:
            self._looked_at = time.monotonic()
        self._answers = True
        return live

    async def _ask(self) -> LiveVersion:
        try:
            metadata = await self._client.model_metadata(
                self.name, version_label=self._label, timeout=self._timeout
            )
            live = _live_version(metadata, self._outputs)
        except ModelNotFound as error:
            self._live = None
            raise self._unavailable(
                f"is not loaded: {await self._why_not_loaded() or error.message}"
            ) from error
        except InvalidRequest as error:
            if self._label is None:
                raise self._unavailable(f"cannot be asked: {error.message}") from error
            # The server knows the model, but not the label.
            raise self._unavailable(f"has no version under the label {self._label}") from error
        except ModelServerError as error:
            # gRPC's own words name addresses, which are for the log (see `watch`) and not for callers.
            raise self._unavailable(f"cannot be asked: the model server answers {error.code.name}") from error
        except UnusableModelError as error:
            raise self._unavailable(f"cannot be used: {error}") from error
        if live != self._live:
            _log.info(
                "model %s%s: version %d is live, input %d × %d",
                self.name,
                "" if self._label is None else f" ({self._label})",
                live.version,
                live.width,
                live.height,
            )
            self._live = live
        return live

    async def _why_not_loaded(self) -> str:
        """What the model server says of the versions it knows; empty where it says nothing."""
        try:
            versions = await self._client.model_status(self.name, timeout=self._timeout)
        except ModelServerError:
            return ""
        return "; ".join(
            f"version {status.version} is {status.state.name}"
            + (f" ({status.message})" if status.message else "")
            for status in versions
        )

    def _unavailable(self, what: str) -> ServiceUnavailable:
        return ServiceUnavailable(f"The model {self.name} {what}.", retry_after=self._retry_after)


def _live_version(metadata: ModelMetadata, outputs: Mapping[str, str]) -> LiveVersion:
    """Read height and width off the signature.

    Raises:
        UnusableModelError: It is not as docs/architecture.md says it must be.
    """
    where = f"version {metadata.version}"
    signature = metadata.signatures.get(SIGNATURE)
    if signature is None:
        raise UnusableModelError(f"{where} has no signature {SIGNATURE}")
    height, width = _input_size(signature, where)
    missing = [name for name in outputs if name not in signature.outputs]
    if missing:
        raise UnusableModelError(f"{where} lacks the outputs {', '.join(missing)}")
    for name, dtype in outputs.items():
        if (found := signature.outputs[name].dtype) != dtype:
            raise UnusableModelError(f"{where}: the output {name} must be {dtype}, not {found}")
    return LiveVersion(metadata.version, height, width)


def _input_size(signature: Signature, where: str) -> tuple[int, int]:
    spec = signature.inputs.get(INPUT)
    if spec is None or len(signature.inputs) != 1:
        raise UnusableModelError(f"{where} must have the one input {INPUT}, not {sorted(signature.inputs)}")
    match spec.shape:
        case (None, int() as height, int() as width, 3) if spec.dtype == "uint8":
            return height, width
    raise UnusableModelError(
        f"{where}: the input {INPUT} must be uint8 [batch, height, width, 3], not {spec.dtype} {spec.shape}"
    )
