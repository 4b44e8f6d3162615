"""Size, deadline, threads, and the form of answers."""

import struct
import time
from typing import Any

import grpc
import pytest

from tests.conformance.wire import OK, Client, floats, predict_request, tensor

PICTURE = 224 * 224 * 3


def _pictures(count: int, *outputs: str) -> Any:
    images = tensor("uint8", count, 224, 224, 3, content=bytes([7]) * (count * PICTURE))
    return predict_request("image", {"images": images}, outputs=outputs)


def _slow(ms: int) -> Any:
    return predict_request("slow", {"ms": tensor("int32", 1, int_val=[ms])})


def test_a_request_over_4_mb_is_served(plain: Client) -> None:
    answer = plain.predict(_pictures(56, "mean"))
    assert answer.code is OK
    assert list(answer.response.outputs["mean"].float_val) == [7.0] * 56


def test_an_answer_over_4_mb_is_refused_only_by_a_client_with_the_default_limit(plain: Client) -> None:
    answer = plain.predict(_pictures(8, "pixels"))
    assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(plain.address, options=options) as channel:
        path = "/tensorflow.serving.PredictionService/Predict"
        send: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
        raw = send(_pictures(8, "pixels").SerializeToString(), timeout=20)
    assert len(raw) > 8 * PICTURE * 4


def test_at_the_deadline_the_answer_is_deadline_exceeded(plain: Client) -> None:
    began = time.monotonic()
    answer = plain.predict(_slow(3000), timeout=0.3)
    assert (answer.code, answer.message) == (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    assert time.monotonic() - began < 2.0


def test_beyond_the_threads_calls_are_refused(two_threads: Client) -> None:
    calls = [two_threads.pool.submit(two_threads.predict, _slow(500)) for _ in range(8)]
    answers = {(answer.code, answer.message) for answer in (call.result() for call in calls)}
    assert answers == {(OK, ""), (grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")}


def test_a_refused_caller_may_come_back(two_threads: Client) -> None:
    assert two_threads.predict(predict_request("hpt", {"x": floats(1)})).code is OK


@pytest.mark.parametrize(
    ("signature", "sent", "content"),
    [
        ("float32", tensor("float", 2, float_val=[1.5, 2.5]), struct.pack("<2f", 1.5, 2.5)),
        ("int64", tensor("int64", 2, int64_val=[1, -1]), struct.pack("<2q", 1, -1)),
        ("uint8", tensor("uint8", 3, int_val=[1, 2, 3]), b"\x01\x02\x03"),
    ],
)
def test_numbers_in_tensor_content(in_content: Client, signature: str, sent: Any, content: bytes) -> None:
    answer = in_content.predict(predict_request("types", {"x": sent}, signature=signature))
    output = answer.response.outputs["y"]
    assert output.tensor_content == content
    assert {field.name for field, _ in output.ListFields()} == {"dtype", "tensor_shape", "tensor_content"}


@pytest.mark.usefixtures("embedded_only")
def test_strings_stay_in_string_val(in_content: Client) -> None:
    answer = in_content.predict(predict_request("words", {"text": tensor("string", 1, string_val=[b"\xff"])}))
    assert list(answer.response.outputs["joined"].string_val) == [b"<\xff>"]
