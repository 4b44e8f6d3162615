"""Replies read into plain values."""

import dataclasses

import grpc
import numpy as np
import pytest

from proto_client import InvalidReply, ModelState, Prediction, TensorSpec, VersionStatus
from proto_client.answers import read_metadata, read_prediction, read_status, status_code
from proto_client.messages import (
    DataType,
    ErrorCode,
    GetModelMetadataResponse,
    GetModelStatusResponse,
    ModelVersionStatus,
    PredictResponse,
    SignatureDefMap,
)
from proto_client.tensors import write_tensor_proto


def test_a_prediction_tells_who_answered() -> None:
    reply = PredictResponse()
    reply.model_spec.name = "sports"
    reply.model_spec.version.value = 3
    reply.model_spec.signature_name = "serving_default"
    write_tensor_proto(np.array([0.5], np.float32), reply.outputs["p"])
    prediction = read_prediction(reply)
    assert (prediction.model, prediction.version, prediction.signature) == ("sports", 3, "serving_default")
    assert prediction.outputs["p"].tolist() == [0.5]


def test_a_prediction_is_frozen_and_without_a_dict() -> None:
    prediction = Prediction({}, "sports", 1, "serving_default")
    assert not hasattr(prediction, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.version = 2  # type: ignore[misc]


def test_states_are_numbered_as_in_the_message() -> None:
    assert {state.name: state.value for state in ModelState} == dict(ModelVersionStatus.State.items())


def test_a_failed_version_tells_why() -> None:
    reply = GetModelStatusResponse()
    failed = reply.model_version_status.add(version=2, state="END")
    failed.status.error_code = ErrorCode.NOT_FOUND
    failed.status.error_message = "no variables"
    assert read_status(reply) == [VersionStatus(2, ModelState.END, grpc.StatusCode.NOT_FOUND, "no variables")]


def test_a_state_and_a_code_of_the_future_are_unknown() -> None:
    # version 1, state 77, status with code 99
    reply = GetModelStatusResponse.FromString(b"\x0a\x08\x08\x01\x10\x4d\x1a\x02\x08\x63")
    assert read_status(reply) == [VersionStatus(1, ModelState.UNKNOWN, grpc.StatusCode.UNKNOWN, "")]


@pytest.mark.parametrize("code", grpc.StatusCode)
def test_codes_are_grpcs(code: grpc.StatusCode) -> None:
    assert status_code(code.value[0]) is code


def test_a_signature_with_open_lengths_and_an_unknown_rank() -> None:
    found = SignatureDefMap()
    signature = found.signature_def["other"]
    signature.method_name = "tensorflow/serving/predict"
    fixed, open_ended = signature.inputs["fixed"], signature.outputs["open"]
    fixed.name, fixed.dtype = "x:0", DataType.DT_HALF
    for length in (-1, 0, 7):
        fixed.tensor_shape.dim.add(size=length)
    open_ended.name, open_ended.dtype = "y:0", DataType.DT_STRING
    open_ended.tensor_shape.unknown_rank = True
    scalar = signature.outputs["scalar"]
    scalar.name, scalar.dtype = "z:0", DataType.DT_INT64
    reply = GetModelMetadataResponse()
    reply.metadata["signature_def"].Pack(found)
    read = read_metadata(reply).signatures["other"]
    assert read.inputs == {"fixed": TensorSpec("x:0", "float16", (None, 0, 7))}
    assert read.outputs == {
        "open": TensorSpec("y:0", "string", None),
        "scalar": TensorSpec("z:0", "int64", ()),
    }
    assert read.method_name == "tensorflow/serving/predict"


def test_metadata_of_another_kind_is_an_invalid_reply() -> None:
    reply = GetModelMetadataResponse()
    reply.metadata["signature_def"].Pack(PredictResponse())
    with pytest.raises(InvalidReply):
        read_metadata(reply)


def test_garbage_inside_the_metadata_is_an_invalid_reply() -> None:
    reply = GetModelMetadataResponse()
    packed = reply.metadata["signature_def"]
    packed.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    packed.value = b"\xff"
    with pytest.raises(InvalidReply):
        read_metadata(reply)
