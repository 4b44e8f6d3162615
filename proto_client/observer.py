"""How whoever uses the client can watch its calls, for metrics say, without the client knowing what for."""

from typing import Protocol

import grpc

__all__ = ["CallObserver"]


class CallObserver(Protocol):
    """Is told of calls, in the event loop that makes them; it must be quick and must not raise."""

    def call_ended(self, *, method: str, model: str, code: grpc.StatusCode, seconds: float) -> None:
        """A call is over, its retries included.

        Args:
            method: The gRPC method without its service, such as "Predict".
            model: The model that was asked; empty for a reload of the configuration.
            code: The final status; CANCELLED too where the caller gave up, INTERNAL for an unreadable reply.
            seconds: How long it took in all.
        """

    def call_retried(self, *, method: str, model: str) -> None:
        """An attempt met a passing fault, and another follows."""
