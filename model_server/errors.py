"""The one error of the model server: a gRPC status code with its message."""

from typing import Final

import grpc

# TF Serving cuts long messages, because gRPC carries them in HTTP/2 trailers, whose size is bounded.
MESSAGE_LIMIT: Final = 1024
TRUNCATION_MARK: Final = "...TRUNCATED"

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class ServingError(Exception):
    """An answer that is not OK.

    Attributes:
        code: The gRPC status code.
        message: The message in full; `wire_message` is what is sent.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def wire_message(self) -> str:
        """The message, cut after 1,024 characters and marked so, as TF Serving does."""
        if len(self.message) <= MESSAGE_LIMIT:
            return self.message
        return self.message[:MESSAGE_LIMIT] + TRUNCATION_MARK

    @property
    def number(self) -> int:
        """The code as the integer that ``google.rpc.Code`` and TensorFlow use."""
        return status_number(self.code)


def status_number(code: grpc.StatusCode) -> int:
    """Gives the integer of a gRPC status code (``OK`` is 0)."""
    return int(code.value[0])


def status_code(number: int) -> grpc.StatusCode:
    """Gives the gRPC status code of an integer; ``UNKNOWN`` for an integer that names none."""
    return _CODES.get(number, grpc.StatusCode.UNKNOWN)


def invalid_argument(message: str) -> ServingError:
    """Makes the error of a request that can never succeed."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """Makes the error of a thing that is not served."""
    return ServingError(grpc.StatusCode.NOT_FOUND, message)


def failed_precondition(message: str) -> ServingError:
    """Makes the error of a request that does not fit the state of the server or the model."""
    return ServingError(grpc.StatusCode.FAILED_PRECONDITION, message)
