"""What the client hands back: plain frozen values, so that no caller needs to know a protobuf message."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from proto_client.dtypes import dtype_name
from proto_client.errors import InvalidReply
from proto_client.messages import (
    GetModelMetadataResponse,
    GetModelStatusResponse,
    ModelVersionStatus,
    PredictResponse,
    SignatureDef,
    SignatureDefMap,
    StatusProto,
    TensorInfo,
)
from proto_client.tensors import TensorError, from_tensor_proto

__all__ = [
    "ModelMetadata",
    "ModelState",
    "Prediction",
    "Signature",
    "TensorSpec",
    "VersionStatus",
    "read_metadata",
    "read_prediction",
    "read_status",
    "status_code",
]

_STATUS_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class ModelState(enum.IntEnum):
    """Where a version stands in its life, numbered as in TensorFlow Serving's ModelVersionStatus.State."""

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


_STATES: dict[int, ModelState] = {state.value: state for state in ModelState}


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer.

    Attributes:
        outputs: The output tensors by their alias; see `from_tensor_proto` for dtypes and for which are
            read-only.
        model: The model's name, as the server echoes it.
        version: The version that answered; 0 if the server did not say.
        signature: The signature that ran.
    """

    outputs: dict[str, NDArray[Any]]
    model: str
    version: int
    signature: str


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """The state of one version of a model.

    Attributes:
        version: Its number.
        state: UNKNOWN also stands for a state that this client does not know.
        code: OK, or why loading failed.
        message: The words that go with the code; may be empty.
    """

    version: int
    state: ModelState
    code: grpc.StatusCode
    message: str


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a signature says of one input or output.

    Attributes:
        name: The tensor's name inside the graph; empty for a sparse or composite one.
        dtype: TensorFlow's name of the element type: "uint8", "float32", "string", "bfloat16" and so on.
        shape: One length for each dimension, None where it is open; None in place of the tuple if the rank is
            unknown.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a model: its inputs and outputs by alias, and TensorFlow's method name."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    method_name: str


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """The signatures of one version of a model, by their keys; the version is 0 if the server did not say."""

    model: str
    version: int
    signatures: dict[str, Signature]


def status_code(number: int) -> grpc.StatusCode:
    """The gRPC status of a number; UNKNOWN for one that gRPC does not define."""
    return _STATUS_CODES.get(number, grpc.StatusCode.UNKNOWN)


def read_prediction(reply: PredictResponse) -> Prediction:
    """Reads a PredictResponse.

    Raises:
        InvalidReply: An output is malformed or of a type that cannot be read.
    """
    outputs = {}
    for alias, proto in reply.outputs.items():
        try:
            outputs[alias] = from_tensor_proto(proto)
        except TensorError as error:
            raise InvalidReply(f"Output {alias!r} cannot be read: {error}") from error
    spec = reply.model_spec
    return Prediction(outputs, spec.name, spec.version.value, spec.signature_name)


def read_status(reply: GetModelStatusResponse) -> list[VersionStatus]:
    """Reads a GetModelStatusResponse, in the server's order (TensorFlow Serving's versions descend)."""
    return [_version_status(status) for status in reply.model_version_status]


def read_metadata(reply: GetModelMetadataResponse) -> ModelMetadata:
    """Reads a GetModelMetadataResponse that holds signatures.

    Raises:
        InvalidReply: The signatures are missing, or are not a SignatureDefMap, or a broken one.
    """
    packed = reply.metadata.get("signature_def")
    found = SignatureDefMap()
    try:
        unpacked = packed is not None and packed.Unpack(found)
    except DecodeError as error:
        raise InvalidReply(f"The metadata's SignatureDefMap cannot be read: {error}") from error
    if not unpacked:
        raise InvalidReply("The metadata holds no SignatureDefMap under signature_def.")
    signatures = {key: _signature(signature) for key, signature in found.signature_def.items()}
    return ModelMetadata(reply.model_spec.name, reply.model_spec.version.value, signatures)


def _version_status(status: ModelVersionStatus) -> VersionStatus:
    state = _STATES.get(status.state, ModelState.UNKNOWN)
    reason: StatusProto = status.status
    return VersionStatus(status.version, state, status_code(reason.error_code), reason.error_message)


def _signature(signature: SignatureDef) -> Signature:
    return Signature(_specs(signature.inputs), _specs(signature.outputs), signature.method_name)


def _specs(infos: Mapping[str, TensorInfo]) -> dict[str, TensorSpec]:
    return {alias: _spec(info) for alias, info in infos.items()}


def _spec(info: TensorInfo) -> TensorSpec:
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    return TensorSpec(info.name, dtype_name(info.dtype), shape)
