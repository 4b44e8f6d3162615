"""Batching, with the small limits of batching.config: one thread, batches of 4, two of them enqueued, 50 ms."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final

import grpc
import pytest

from tests.conformance.processes import eventually
from tests.conformance.wire import OK, Answer, Case, Client, floats, predict_request, tensor

PREDICT: Final = "PredictionService/Predict"
INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION: Final = grpc.StatusCode.FAILED_PRECONDITION
DEADLINE: Final = (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
FULL: Final = (
    "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and "
    "max_enqueued_batches is 2"
)
UNBATCHED: Final = (
    "Batched output tensor's 0th dimension does not equal "
    "the sum of the 0th dimension sizes of the input tensors"
)
SHAPES: Final = (
    "Tensors with name 'serving_default_x:0' from different tasks "
    "have different shapes and padding is turned off"
)


def _pair(a: float, b: float, *, rows: int = 1, signature: str = "", outputs: tuple[str, ...] = ()) -> Any:
    inputs = {"a": floats(*[a] * rows), "b": floats(*[b] * rows)}
    return predict_request("pair", inputs, signature=signature, outputs=outputs)


def _picky(*, width: int = 3, dtype: str = "float") -> Any:
    values: dict[str, Any] = {"float_val" if dtype == "float" else "int_val": [1]}
    return predict_request("picky", {"x": tensor(dtype, 1, width, **values)})


def _row(model: str, signature: str, *shape: int) -> Any:
    return predict_request(model, {"x": tensor("float", *shape, float_val=[1])}, signature=signature)


SINGLE_CALLS: Final = (
    Case("a batch of the largest size", PREDICT, _pair(1, 2, rows=4)),
    Case(
        "a task larger than a batch",
        PREDICT,
        _pair(1, 2, rows=5),
        INVALID,
        "Task size 5 is larger than maximum input batch size 4",
    ),
    Case("a scalar input", PREDICT, _row("unbatched", "scalar_in"), INVALID),
    Case(
        "inputs of different sizes",
        PREDICT,
        predict_request("pair", {"a": floats(1), "b": floats(1, 2)}),
        INVALID,
    ),
    Case("a scalar output", PREDICT, _row("unbatched", "scalar_out", 1), PRECONDITION),
    Case("an output without the batch dimension", PREDICT, _row("unbatched", "", 2), PRECONDITION, UNBATCHED),
    Case("a wrong shape, alone", PREDICT, _picky(width=4), INVALID, starts="Matrix size-incompatible"),
    Case(
        "a wrong dtype, alone",
        PREDICT,
        _picky(dtype="int32"),
        INVALID,
        "Expects arg[0] to be float but int32 is provided",
    ),
    Case(
        "unreadable tensors are refused before the queue",
        PREDICT,
        predict_request("hpt", {"x": tensor("float", -1)}),
        INVALID,
        "tensor parsing error: x",
    ),
)


@pytest.mark.parametrize("case", SINGLE_CALLS, ids=lambda case: str(case.name))
def test_one_call(batching: Client, case: Case) -> None:
    case.verify(batching)


@contextmanager
def _busy(client: Client, ms: int = 1200) -> Iterator[None]:
    """Keeps the only batch thread busy, so that what is sent meanwhile queues up."""
    held = client.pool.submit(
        client.predict, predict_request("slow", {"ms": tensor("int32", 1, int_val=[ms])})
    )

    def is_busy() -> bool:
        return client.predict(_pair(1, 1, signature="sum"), timeout=0.25).code is not OK

    eventually(is_busy, "the batch thread is busy")
    yield
    assert held.result().code is OK


def _send(client: Client, *requests: Any) -> list[Future[Answer]]:
    return [client.pool.submit(client.predict, request) for request in requests]


def _values(answer: Answer, alias: str) -> list[float]:
    assert answer.code is OK, answer
    return list(answer.response.outputs[alias].float_val)


def test_requests_of_one_batch_get_their_own_rows(batching: Client) -> None:
    with _busy(batching):
        calls = _send(batching, _pair(1, 2), _pair(3, 4, rows=2), _pair(5, 6))
    assert [_values(call.result(), "probs") for call in calls] == [[3], [7, 7], [11]]


def test_signatures_are_not_mixed(batching: Client) -> None:
    with _busy(batching):
        calls = _send(
            batching, _pair(5, 2, signature="difference"), _pair(5, 2), _pair(7, 1, signature="difference")
        )
    values = [
        _values(call.result(), alias) for call, alias in zip(calls, ("total", "probs", "total"), strict=True)
    ]
    assert values == [[3], [7], [6]]


def test_sets_of_outputs_are_not_mixed(batching: Client) -> None:
    with _busy(batching):
        calls = _send(batching, _pair(5, 2, outputs=("score",)), _pair(5, 2, outputs=("probs",)), _pair(5, 2))
    assert [sorted(call.result().response.outputs) for call in calls] == [
        ["score"],
        ["probs"],
        ["probs", "score"],
    ]


def test_versions_are_not_mixed(batching: Client) -> None:
    requests = [predict_request("hpt", {"x": floats(2)}, version=version) for version in (1, 2, 1, 2)]
    with _busy(batching):
        calls = _send(batching, *requests)
    assert [_values(call.result(), "y") for call in calls] == [[3], [5], [3], [5]]


def test_the_queue_is_full(batching: Client) -> None:
    with _busy(batching):
        answers = [call.result() for call in _send(batching, *[_pair(1, 2, rows=4)] * 6)]
    outcomes = [(answer.code, answer.message) for answer in answers]
    assert outcomes.count((OK, "")) == 2
    assert outcomes.count((grpc.StatusCode.UNAVAILABLE, FULL)) == 4


def test_the_deadline_holds_in_the_queue(batching: Client) -> None:
    with _busy(batching):
        answer = batching.predict(_pair(1, 2), timeout=0.1)
    assert (answer.code, answer.message) == DEADLINE


def test_an_empty_batch_hangs_until_its_deadline(batching: Client) -> None:
    answer = batching.predict(_pair(1, 2, rows=0), timeout=0.5)
    assert (answer.code, answer.message) == DEADLINE


def test_an_empty_batch_is_answered_with_the_next_request(batching: Client) -> None:
    empty = batching.pool.submit(batching.predict, _pair(1, 2, rows=0), 20.0)

    def joined() -> bool:
        assert batching.predict(_pair(1, 2)).code is OK
        return empty.done()

    eventually(joined, "the empty batch is answered")
    assert _values(empty.result(), "probs") == []


@pytest.mark.parametrize(
    ("bad", "code", "text"),
    [
        (_picky(width=4), PRECONDITION, SHAPES),
        (_picky(dtype="int32"), grpc.StatusCode.INTERNAL, "Tensor concat operation failed: "),
    ],
    ids=["shape", "dtype"],
)
def test_one_malformed_request_fails_its_whole_batch(
    batching: Client, bad: Any, code: grpc.StatusCode, text: str
) -> None:
    with _busy(batching):
        answers = [call.result() for call in _send(batching, _picky(), bad)]
    assert [answer.code for answer in answers] == [code, code]
    assert all(answer.message.startswith(text) for answer in answers)
