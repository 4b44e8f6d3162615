"""Tensors that do not fit a signature are never sent."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from proto_client import (
    ModelServerClient,
    Signature,
    SignatureMismatch,
    TensorError,
    TensorSpec,
    check_inputs,
    to_tensor_proto,
)
from proto_client.answers import ModelMetadata
from proto_client.messages import DataType, TensorProto
from proto_client.signatures import KnownSignatures
from tests.proto_client.conftest import TIMEOUT, picture
from tests.support.fake_backend import FakeBackend, Method

IMAGES = Signature({"images": TensorSpec("x:0", "uint8", (None, 4, 5, 3))}, {}, "predict")
BFLOAT = TensorProto(dtype=DataType.DT_BFLOAT16)
BFLOAT.tensor_shape.SetInParent()


def one(dtype: str, shape: tuple[int | None, ...] | None) -> Signature:
    return Signature({"x": TensorSpec("x:0", dtype, shape)}, {}, "predict")


@pytest.mark.parametrize(
    ("signature", "value"),
    [
        (one("uint8", (None, 4, 5, 3)), np.zeros((7, 4, 5, 3), np.uint8)),
        (one("uint8", (None, 4)), np.zeros((0, 4), np.uint8)),
        (one("float32", None), np.zeros((1, 2, 3), np.float32)),
        (one("float32", ()), np.float32(1)),
        (one("float32", (2,)), np.zeros(2, ">f4")),
        (one("float16", (2,)), np.zeros(2, np.float16)),
        (one("bool", (2,)), np.zeros(2, np.bool)),
        (one("complex64", (2,)), np.zeros(2, np.complex64)),
        (one("string", (None,)), np.array([b"a", "b"], object)),
        (one("string", (None,)), np.array(["a", "b"])),
        (one("string", (None,)), np.array([b"a"])),
        (one("bfloat16", ()), BFLOAT),
    ],
)
def test_what_fits(signature: Signature, value: Any) -> None:
    check_inputs({"x": value}, signature)
    if not isinstance(value, TensorProto):
        check_inputs({"x": to_tensor_proto(value)}, signature)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, r"takes the inputs \['images'\], and \[\] were given"),
        ({"image": picture(4, 5)}, r"and \['image'\] were given"),
        ({"images": picture(4, 5), "more": picture()}, r"and \['images', 'more'\] were given"),
        (
            {"images": np.zeros((1, 5, 4, 3), np.uint8)},
            r"Input 'images' is uint8 \[1, 5, 4, 3\]; the signature takes uint8 \[any, 4, 5, 3\]\.",
        ),
        ({"images": np.zeros((4, 5, 3), np.uint8)}, r"is uint8 \[4, 5, 3\]"),
        ({"images": np.zeros((1, 4, 5, 3), np.float32)}, r"is float32 \[1, 4, 5, 3\]"),
        ({"images": np.zeros((1, 4, 5, 3), np.int8)}, "is int8"),
        ({"images": np.zeros((1, 4, 5, 3), object)}, "is object"),
        ({"images": np.zeros((1, 4, 5, 3), "datetime64[s]")}, "is datetime64"),
    ],
)
def test_what_does_not(inputs: Mapping[str, Any], words: str) -> None:
    with pytest.raises(SignatureMismatch, match=words):
        check_inputs(inputs, IMAGES)


def test_what_does_not_as_a_tensor_made_beforehand() -> None:
    for array, words in (
        (np.zeros((1, 5, 4, 3), np.uint8), r"is uint8 \[1, 5, 4, 3\]"),
        (np.zeros((1, 4, 5, 3), np.int64), "is int64"),
    ):
        with pytest.raises(SignatureMismatch, match=words):
            check_inputs({"images": to_tensor_proto(array)}, IMAGES)
    unknown = TensorProto(dtype=DataType.DT_UINT8)
    unknown.tensor_shape.unknown_rank = True
    with pytest.raises(SignatureMismatch):
        check_inputs({"images": unknown}, IMAGES)


def test_old_versions_are_forgotten() -> None:
    known = KnownSignatures()
    for version in range(1, 101):
        known.learn(ModelMetadata("m", version, {"k": IMAGES}), "m", None, answers=True)
    assert known.find("m", 1, None) is None
    assert known.find("m", 100, None) == {"k": IMAGES}
    assert known.find("m", None, None) == {"k": IMAGES}
    assert known.find("m", None, "label") is None


async def predict(client: ModelServerClient, size: int, **which: Any) -> int:
    answer = await client.predict({"images": picture(size, size)}, model="sports", timeout=TIMEOUT, **which)
    return answer.version


@pytest.mark.parametrize("which", [{"version": 1}, {}, {"version_label": "stable"}])
async def test_the_client_asks_for_the_signature_once(
    backend: FakeBackend, client: ModelServerClient, which: dict[str, Any]
) -> None:
    backend.labels["sports", "stable"] = 1
    for _ in range(3):
        assert await predict(client, 32, **which) == 1
    assert backend.calls[Method.METADATA] == 1


async def test_what_was_looked_up_before_need_not_be_asked_for(
    backend: FakeBackend, client: ModelServerClient
) -> None:
    await client.model_metadata("sports", timeout=TIMEOUT)
    await predict(client, 32, version=1)
    await predict(client, 32)
    assert backend.calls[Method.METADATA] == 1


@pytest.mark.parametrize("which", [{"version": 1}, {}])
async def test_what_does_not_fit_is_never_sent(
    backend: FakeBackend, client: ModelServerClient, which: dict[str, Any]
) -> None:
    with pytest.raises(
        TensorError, match=r"is uint8 \[1, 8, 8, 3\]; the signature takes uint8 \[any, 32, 32, 3\]"
    ):
        await predict(client, 8, **which)
    assert backend.calls[Method.PREDICT] == 0


async def test_the_signature_of_another_version_is_learnt(
    backend: FakeBackend, client: ModelServerClient
) -> None:
    assert await predict(client, 32) == 1
    backend.add_version("sports", 2, height=16, width=16)
    # By what is known, it would not fit; so it is looked up anew before it is refused.
    assert await predict(client, 16) == 2
    with pytest.raises(SignatureMismatch):
        await predict(client, 32)
    assert await predict(client, 32, version=1) == 1


async def test_other_files_under_the_same_number(backend: FakeBackend, client: ModelServerClient) -> None:
    assert await predict(client, 32, version=1) == 1
    backend.add_version("sports", 1, height=16, width=16)
    assert await predict(client, 16, version=1) == 1
