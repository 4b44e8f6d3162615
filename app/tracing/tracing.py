"""What can be traced, and the tracing that traces nothing."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal

from fastapi.telemetry import TelemetryConfig

TracedStage = Literal["read", "decode", "inference"]

_NOTHING: Final = nullcontext()


class Tracing:
    """Traces nothing: the one that is used where tracing is switched off, at the price of a method call.

    Subclasses trace. None is ever handed a token, a byte of a picture or anything else that a caller chose freely.
    """

    def telemetry(self) -> TelemetryConfig:
        """Say what FastAPI shall trace by itself (`FastAPI(telemetry=…)`).

        By default it would take providers that some library has set for the whole process, and log validation errors
        with what callers sent.
        """
        return {
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        }

    def stage(self, stage: TracedStage, model: str) -> AbstractContextManager[None]:
        """Trace a stage of a picture's way while the context lasts; errors pass through it."""
        del stage, model
        return _NOTHING

    def call_metadata(self) -> Sequence[tuple[str, str]]:
        """Make the gRPC metadata that lets the model server's spans join the trace (see `ModelServerClient`)."""
        return ()

    def start(self) -> None:
        """Begin to send what is traced."""

    async def stop(self) -> None:
        """Send what has not been sent yet, within a bound. Nothing is traced afterwards."""
