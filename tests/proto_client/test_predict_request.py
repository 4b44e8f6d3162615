from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from proto_client import TensorError, to_tensor_proto
from proto_client.messages import PredictRequest, TensorProto
from proto_client.predict_request import PredictRequests

WHO: dict[str, Any] = {
    "model": "sport_classifier",
    "version": 7,
    "version_label": None,
    "signature": "serving_default",
    "output_filter": ("probabilities", "class_ids"),
}


def by_message(inputs: dict[str, NDArray[Any] | TensorProto]) -> PredictRequest:
    request = PredictRequest(output_filter=WHO["output_filter"])
    request.model_spec.name = WHO["model"]
    request.model_spec.version.value = WHO["version"]
    request.model_spec.signature_name = WHO["signature"]
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(value if isinstance(value, TensorProto) else to_tensor_proto(value))
    return request


DTYPES = st.sampled_from(["u1", "i4", "i8", "f2", "f4", ">f4", "c8", "?", "u8"]).map(np.dtype)


@settings(deadline=None)
@given(
    array=DTYPES.flatmap(
        lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=4, min_side=0))
    )
)
def test_the_bytes_are_those_of_the_message(array: NDArray[Any]) -> None:
    assert PredictRequest.FromString(PredictRequests().serialise({"images": array}, **WHO)) == by_message(
        {"images": array}
    )


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((2, 300, 300, 3), np.uint8),
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4)[:, ::2],
        np.arange(24, dtype=np.float32).reshape(4, 6).T,
        np.array([b"one", b"two"], object),
        to_tensor_proto(np.zeros((1, 2), np.float32)),
        np.float32(1.5),
    ],
    ids=["large", "strided", "transposed", "strings", "proto", "scalar"],
)
def test_every_kind_of_input_is_sent(value: Any) -> None:
    inputs = {"first": value, "second": np.ones((3,), np.int64)}
    assert PredictRequest.FromString(PredictRequests().serialise(inputs, **WHO)) == by_message(inputs)


def test_parts_are_made_once_and_for_each_version_apart() -> None:
    requests = PredictRequests()
    image = np.zeros((1, 4, 4, 3), np.uint8)
    first = requests.serialise({"images": image}, **WHO)
    assert requests.serialise({"images": image}, **WHO) == first
    other = PredictRequest.FromString(requests.serialise({"images": image}, **{**WHO, "version": 8}))
    assert other.model_spec.version.value == 8
    labelled = requests.serialise({"images": image}, **{**WHO, "version": None, "version_label": "canary"})
    assert PredictRequest.FromString(labelled).model_spec.version_label == "canary"


def test_a_type_that_tensorflow_does_not_know_is_named() -> None:
    with pytest.raises(TensorError, match="Input 'images'"):
        PredictRequests().serialise({"images": np.zeros(2, "M8[s]")}, **WHO)
