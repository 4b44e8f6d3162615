"""How whoever uses the client can watch its calls, for metrics say, without the client knowing what for."""

from typing import Protocol

import grpc

from proto_client.breaker import BreakerState

__all__ = ["CallObserver"]


class CallObserver(Protocol):
    """Is told of calls, in the event loop that makes them; it must be quick and must not raise."""

    def call_ended(self, *, method: str, model: str, code: grpc.StatusCode, seconds: float) -> None:
        """A call is over, its retries included. Not told of what was never sent.

        Args:
            method: The gRPC method without its service, such as "Predict".
            model: The model that was asked; empty for a reload of the configuration.
            code: The final status; CANCELLED too where the caller gave up, INTERNAL for an unreadable reply.
            seconds: How long it took in all.
        """

    def call_retried(self, *, method: str, model: str) -> None:
        """An attempt met a passing fault, and another follows."""

    def retry_refused(self, *, method: str, model: str) -> None:
        """An attempt met a passing fault, and no other follows, because the budget for retries is spent."""

    def retry_budget_changed(self, *, target: str, retries: float) -> None:
        """So many retries can be made now. Told when it has changed by one at least.

        Args:
            target: As the client was given it.
            retries: From 0 to the budget's burst.
        """

    def breaker_changed(self, *, target: str, state: BreakerState) -> None:
        """The breaker has another state; also told once at the start."""

    def breaker_refused(self, *, method: str, model: str) -> None:
        """A call was not sent, because the breaker is open."""
