"""Which exception stands for which status."""

import pickle

import grpc
import pytest

from proto_client import (
    CircuitOpen,
    DeadlineExceeded,
    InvalidReply,
    InvalidRequest,
    ModelNotFound,
    ModelServerBusy,
    ModelServerError,
    ModelServerUnavailable,
)
from proto_client.errors import error_for

KINDS = {
    grpc.StatusCode.NOT_FOUND: ModelNotFound,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.FAILED_PRECONDITION: InvalidRequest,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ModelServerBusy,
    grpc.StatusCode.UNAVAILABLE: ModelServerUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_keeps_its_code_and_words(code: grpc.StatusCode) -> None:
    error = error_for(code, "words")
    assert type(error) is KINDS.get(code, ModelServerError)
    assert (error.code, error.message) == (code, "words")
    assert str(error) == f"{code.name}: words"


def test_missing_words_are_empty_words() -> None:
    assert error_for(grpc.StatusCode.INTERNAL, None).message == ""


@pytest.mark.parametrize(
    "error", [error_for(grpc.StatusCode.NOT_FOUND, "gone"), InvalidReply("odd"), CircuitOpen(1.5)]
)
def test_errors_survive_pickling(error: ModelServerError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.code, copy.message) == (type(error), error.code, error.message)
