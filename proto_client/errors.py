"""What can go wrong in a call to a model server: one base, and a few kinds that a caller can act upon."""

import grpc

__all__ = [
    "CircuitOpen",
    "DeadlineExceeded",
    "InvalidReply",
    "InvalidRequest",
    "ModelNotFound",
    "ModelServerBusy",
    "ModelServerError",
    "ModelServerUnavailable",
    "error_for",
]


class ModelServerError(Exception):
    """A call to the model server failed.

    Attributes:
        code: The gRPC status.
        message: The server's own words, or gRPC's; may be empty.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


class ModelNotFound(ModelServerError):
    """NOT_FOUND: no such model or version, or it is not loaded now. Ask which version is live."""


class InvalidRequest(ModelServerError):
    """INVALID_ARGUMENT or FAILED_PRECONDITION: the request does not fit the model; again it would fail."""


class ModelServerBusy(ModelServerError):
    """RESOURCE_EXHAUSTED after all retries: the server's threads are all taken. Try later.

    gRPC itself gives the same code to a reply larger than the client's receive limit; the message then says
    so.
    """


class ModelServerUnavailable(ModelServerError):
    """UNAVAILABLE after all retries: no connection, or the server's batch queue is full. Try later."""


class CircuitOpen(ModelServerUnavailable):
    """Nothing was sent: the breaker takes the server for dead. The code is UNAVAILABLE.

    Attributes:
        retry_in: After so many seconds another try may be let through, as far as can be told.
    """

    def __init__(self, retry_in: float) -> None:
        super().__init__(
            grpc.StatusCode.UNAVAILABLE,
            f"The model server has not been answering; the next call is let through in {retry_in:.1f} s.",
        )
        self.retry_in = retry_in

    def __reduce__(self) -> tuple[type["CircuitOpen"], tuple[float]]:
        return type(self), (self.retry_in,)


class DeadlineExceeded(ModelServerError):
    """DEADLINE_EXCEEDED: no answer within the call's timeout, retries included."""


class InvalidReply(ModelServerError):
    """The server answered, but with something that cannot be read; the code is INTERNAL."""

    def __init__(self, message: str) -> None:
        super().__init__(grpc.StatusCode.INTERNAL, message)

    def __reduce__(self) -> tuple[type["InvalidReply"], tuple[str]]:
        return type(self), (self.message,)


_KINDS: dict[grpc.StatusCode, type[ModelServerError]] = {
    grpc.StatusCode.NOT_FOUND: ModelNotFound,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.FAILED_PRECONDITION: InvalidRequest,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ModelServerBusy,
    grpc.StatusCode.UNAVAILABLE: ModelServerUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


def error_for(code: grpc.StatusCode, message: str | None) -> ModelServerError:
    """Makes the exception that stands for a status; a status without a kind of its own gets the base.

    Args:
        code: Any status but OK.
        message: The status's details.

    Returns:
        The exception, to be raised.
    """
    return _KINDS.get(code, ModelServerError)(code, message or "")
