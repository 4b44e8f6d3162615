"""The models behind `fake_backend`: requests in, replies out, with TensorFlow Serving's codes and messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
import numpy as np
from numpy.typing import NDArray

from proto_client import ModelState, TensorError, from_tensor_proto
from proto_client.messages import (
    DataType,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelSpec,
    PredictRequest,
    PredictResponse,
    SignatureDefMap,
    TensorInfo,
)
from proto_client.tensors import to_tensor_proto, write_tensor_proto
from tests.support.fake_versions import FakeProductVersion, FakeVersion

INPUT = "images"
SIGNATURE = "serving_default"


class Refused(Exception):
    """The server answers with an error."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def _not_found(message: str) -> NoReturn:
    raise Refused(grpc.StatusCode.NOT_FOUND, message)


def _invalid(message: str) -> NoReturn:
    raise Refused(grpc.StatusCode.INVALID_ARGUMENT, message)


@dataclass(frozen=True, slots=True)
class Received:
    """One Predict that passed all checks: which version answered, and the images [batch, height, width, 3]."""

    model: str
    version: int
    images: NDArray[Any]


@dataclass
class FakeModels:
    """Versions and labels, and the answers to requests.

    Attributes:
        as_values: Answer in the `*_val` fields, as TensorFlow Serving does by default, not in `tensor_content`.
        versions: All versions by (model, version).
        labels: Versions' numbers by (model, label).
        received: The Predicts that passed all checks, in order.
    """

    as_values: bool = True
    versions: dict[tuple[str, int], FakeVersion] = field(default_factory=dict)
    labels: dict[tuple[str, str], int] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    def add_version(
        self,
        model: str,
        version: int,
        *,
        height: int = 32,
        width: int = 32,
        classes: Sequence[tuple[str, str]] = (("74", "Baseball"), ("76", "Cricket"), ("289", "Lacrosse")),
        available: bool = True,
    ) -> FakeVersion:
        """Adds a version, or replaces it; `classes` are (id, name). One that is not available is LOADING."""
        state = ModelState.AVAILABLE if available else ModelState.LOADING
        made = FakeVersion(model, version, height, width, tuple(classes), state)
        self.versions[model, version] = made
        return made

    def add_product_version(
        self,
        model: str,
        version: int,
        *,
        height: int = 32,
        width: int = 32,
        types: Mapping[str, Sequence[tuple[str, str]]],
    ) -> FakeProductVersion:
        """Adds an available version of a product model; `types` has each one's groups as (name, ids of sports)."""
        made = FakeProductVersion(
            model,
            version,
            height,
            width,
            tuple((name.replace(" ", "-"), name) for name in types),
            groups=tuple(map(tuple, types.values())),
        )
        self.versions[model, version] = made
        return made

    def set_available(self, model: str, version: int, available: bool) -> None:
        """Loads or unloads a version; an unloaded one stays listed as END."""
        self.versions[model, version].state = ModelState.AVAILABLE if available else ModelState.END

    def predict(self, request: PredictRequest) -> PredictResponse:
        """Answers Predict, or raises Refused."""
        version = self._find(request.model_spec)
        signature = request.model_spec.signature_name or SIGNATURE
        if signature != SIGNATURE:
            raise Refused(
                grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{signature}" not found.'
            )
        images = _read_images(request)
        wanted = _filter(request.output_filter, list(_example(version)))
        _check_images(images, version)
        self.received.append(Received(version.model, version.version, images))
        reply = PredictResponse()
        _echo(reply.model_spec, version)
        reply.model_spec.signature_name = signature
        for alias, array in version.outputs(images).items():
            if alias in wanted:
                write_tensor_proto(array, reply.outputs[alias], as_values=self.as_values)
        return reply

    def metadata(self, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
        """Answers GetModelMetadata, or raises Refused."""
        if not request.metadata_field:
            _invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for name in request.metadata_field:
            if name != "signature_def":
                _invalid(f"Metadata field {name} is not supported")
        version = self._find(request.model_spec)
        found = SignatureDefMap()
        signature = found.signature_def[SIGNATURE]
        signature.method_name = "tensorflow/serving/predict"
        image_shape = (-1, version.height, version.width, 3)
        _describe(signature.inputs[INPUT], "serving_default_images:0", DataType.DT_UINT8, image_shape)
        for place, (alias, array) in enumerate(_example(version).items()):
            shape = (-1, *array.shape[1:])
            dtype = to_tensor_proto(array).dtype
            _describe(signature.outputs[alias], f"StatefulPartitionedCall:{place}", dtype, shape)
        reply = GetModelMetadataResponse()
        _echo(reply.model_spec, version)
        reply.metadata["signature_def"].Pack(found)
        return reply

    def status(self, request: GetModelStatusRequest) -> GetModelStatusResponse:
        """Answers GetModelStatus, or raises Refused."""
        spec = request.model_spec
        known = {number: made for (model, number), made in self.versions.items() if model == spec.name}
        if not known:
            _not_found(f"Could not find any versions of model {spec.name}")
        numbers = [spec.version.value] if spec.HasField("version") else sorted(known, reverse=True)
        reply = GetModelStatusResponse()
        for number in numbers:
            if number not in known:
                _not_found(f"Could not find version {number} of model {spec.name}")
            status = reply.model_version_status.add(version=number, state=known[number].state.name)
            status.status.SetInParent()
        return reply

    def _find(self, spec: ModelSpec) -> FakeVersion:
        if not spec.name:
            _invalid("ModelSpec has no name specified.")
        loaded = {
            number: made
            for (model, number), made in self.versions.items()
            if model == spec.name and made.state in (ModelState.AVAILABLE, ModelState.UNLOADING)
        }
        if spec.version_label:
            labelled = self.labels.get((spec.name, spec.version_label))
            if labelled is None:
                _invalid(f"Unrecognized servable version label: {spec.version_label}")
            number = labelled
        elif spec.HasField("version"):
            number = spec.version.value
        elif loaded:
            number = max(loaded)
        else:
            _not_found(f"Servable not found for request: Latest({spec.name})")
        if number not in loaded:
            _not_found(f"Servable not found for request: Specific({spec.name}, {number})")
        return loaded[number]


def _read_images(request: PredictRequest) -> NDArray[Any]:
    names = ",".join(sorted(request.inputs))
    if len(request.inputs) != 1:
        missing = "" if INPUT in request.inputs else INPUT
        extra = ",".join(sorted(set(request.inputs) - {INPUT}))
        _invalid(
            f"input size does not match signature: {len(request.inputs)}!=1 len({{{names}}}) != len({{{INPUT}}})."
            f" Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        )
    if INPUT not in request.inputs:
        _invalid(
            f"Signature input alias: {INPUT}(feed name: serving_default_{INPUT}:0) not found in request and no"
            f" default value provided. Inputs expected to be in the request {{{names}}}, or default input alias set: "
        )
    try:
        return from_tensor_proto(request.inputs[INPUT])
    except TensorError:
        _invalid(f"tensor parsing error: {INPUT}")


def _example(version: FakeVersion) -> dict[str, NDArray[Any]]:
    """The outputs for one picture: what they are called, and their types and shapes."""
    return version.outputs(np.zeros((1, version.height, version.width, 3), np.uint8))


def _filter(wanted: Sequence[str], known: Sequence[str]) -> set[str]:
    """The outputs that are wanted: all if none is named."""
    seen: set[str] = set()
    for alias in wanted:
        if alias not in known:
            names = ",".join(known)
            _invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set {{{names}}}."
            )
        if alias in seen:
            _invalid(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return seen or set(known)


def _check_images(images: NDArray[Any], version: FakeVersion) -> None:
    """What the graph's own operations would refuse."""
    if images.dtype != np.uint8:
        name = {"float32": "float", "float64": "double", "object": "string"}.get(
            images.dtype.name, images.dtype.name
        )
        _invalid(f"Expects arg[0] to be uint8 but {name} is provided")
    if images.ndim != 4 or images.shape[1:] != (version.height, version.width, 3):
        shape = ",".join(str(length) for length in images.shape)
        _invalid(f"Incompatible shapes: [{shape}] vs. [{version.height},{version.width},3]")


def _describe(info: TensorInfo, name: str, dtype: DataType, shape: Sequence[int]) -> None:
    info.name = name
    info.dtype = dtype
    for length in shape:
        info.tensor_shape.dim.add(size=length)


def _echo(spec: ModelSpec, version: FakeVersion) -> None:
    spec.name = version.model
    spec.version.value = version.version
