"""Whether tensors fit a model's signature, told before they are sent.

TensorFlow Serving joins requests into batches, and one tensor of another shape or type fails all that share its
batch. It checks no shapes itself before that.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proto_client.answers import ModelMetadata, Signature, TensorSpec
from proto_client.dtypes import ELEMENT_TYPES, dtype_name, element_type_of
from proto_client.messages import DataType, TensorProto
from proto_client.tensors import TensorError

__all__ = ["KnownSignatures", "SignatureMismatch", "check_inputs"]

# Of versions; a server has a handful at a time.
_MAX_KNOWN: Final = 64
_STRING_KINDS: Final = "OSTU"
_DTYPES: Final = {
    dtype_name(number): element.storage
    for number, element in ELEMENT_TYPES.items()
    if number != DataType.DT_BFLOAT16
}

_Inputs = Mapping[str, NDArray[Any] | TensorProto]


class SignatureMismatch(TensorError):
    """The inputs do not fit the model's signature, so nothing was sent; the message says where they differ."""


def check_inputs(inputs: _Inputs, signature: Signature) -> None:
    """Compare inputs with a signature: their names, element types, and every dimension that is fixed there.

    Args:
        inputs: By alias, arrays or tensors made beforehand.
        signature: What the model takes.

    Raises:
        SignatureMismatch: They do not fit.
    """
    specs = signature.inputs
    if inputs.keys() != specs.keys():
        raise SignatureMismatch(
            f"The signature takes the inputs {sorted(specs)}, and {sorted(inputs)} were given."
        )
    for alias, spec in specs.items():
        value = inputs[alias]
        if isinstance(value, TensorProto):
            _check_proto(alias, value, spec)
        else:
            _check_array(alias, np.asarray(value), spec)


class KnownSignatures:
    """What metadata has told of signatures, by model and version; what was not used for longest is forgotten."""

    def __init__(self) -> None:
        self._signatures: OrderedDict[tuple[str, int], dict[str, Signature]] = OrderedDict()
        self._answering: OrderedDict[tuple[str, str | None], int] = OrderedDict()

    def learn(self, metadata: ModelMetadata, model: str, label: str | None, *, answers: bool) -> None:
        """Keep what a server said.

        Args:
            metadata: What it said.
            model: The model that was asked for.
            label: The label that was asked for.
            answers: Whether it was asked which version answers, rather than for one version by its number.
        """
        _put(self._signatures, (model, metadata.version), metadata.signatures)
        if answers:
            self.answered(model, label, metadata.version)

    def answered(self, model: str, label: str | None, version: int) -> None:
        """A call for whichever version answers was answered by this one."""
        if self._answering.get((model, label)) != version:
            _put(self._answering, (model, label), version)

    def find(self, model: str, version: int | None, label: str | None) -> dict[str, Signature] | None:
        """Return the signatures by their keys; None where nothing is known of the version, or which one answers."""
        if version is None:
            version = self._answering.get((model, label))
        return None if version is None else self._signatures.get((model, version))


def _put(known: OrderedDict[Any, Any], key: object, value: object) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _MAX_KNOWN:
        known.popitem(last=False)


def _check_array(alias: str, array: NDArray[Any], spec: TensorSpec) -> None:
    # Nearly every array passes the first comparison; what is of another byte order, or strings, takes longer.
    if array.dtype != _DTYPES.get(spec.dtype) and not _same_element(array.dtype, spec.dtype):
        raise _mismatch(alias, spec, array.dtype.name, array.shape)
    if spec.shape is not None and not _fits(array.shape, spec.shape):
        raise _mismatch(alias, spec, array.dtype.name, array.shape)


def _check_proto(alias: str, proto: TensorProto, spec: TensorSpec) -> None:
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    unknown = proto.tensor_shape.unknown_rank
    if dtype_name(proto.dtype) != spec.dtype or (
        spec.shape is not None and (unknown or not _fits(shape, spec.shape))
    ):
        raise _mismatch(alias, spec, dtype_name(proto.dtype), shape)


def _same_element(dtype: np.dtype[Any], expected: str) -> bool:
    if expected == "string":
        return dtype.kind in _STRING_KINDS
    element = element_type_of(dtype)
    return element is not None and dtype_name(element.data_type) == expected


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        wanted is None or length == wanted for length, wanted in zip(shape, expected, strict=True)
    )


def _mismatch(alias: str, spec: TensorSpec, dtype: str, shape: tuple[int, ...]) -> SignatureMismatch:
    if spec.shape is None:
        wanted = "of any shape"
    else:
        wanted = "[" + ", ".join("any" if length is None else str(length) for length in spec.shape) + "]"
    return SignatureMismatch(
        f"Input {alias!r} is {dtype} {list(shape)}; the signature takes {spec.dtype} {wanted}."
    )
