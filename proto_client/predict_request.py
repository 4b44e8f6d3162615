"""PredictRequests as bytes, from parts that are serialised once and the arrays' own memory.

Through the message an array is copied three times: into a bytes object, into the message, and into the serialised
request. Here it is copied once. What stands around it is the same for every picture. Messages of protobuf may be
written one after the other, and a reader merges them; so the parts can be made apart:
https://protobuf.dev/programming-guides/encoding/#last-one-wins
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeGuard

import numpy as np
from numpy.typing import NDArray

from proto_client.dtypes import element_type_of
from proto_client.messages import DataType, ModelSpec, PredictRequest, TensorProto
from proto_client.tensors import TensorError, write_tensor_proto

__all__ = ["PredictRequests", "fill_spec"]

Inputs = Mapping[str, NDArray[Any] | TensorProto]

_LENGTH_DELIMITED: Final = 2
_CACHED: Final = 256


class PredictRequests:
    """Makes requests, and keeps the parts that come again."""

    def __init__(self) -> None:
        self._heads = lru_cache(_CACHED)(_head)
        self._frames = lru_cache(_CACHED)(_frame)

    def serialise(
        self,
        inputs: Inputs,
        *,
        model: str,
        version: int | None,
        version_label: str | None,
        signature: str,
        output_filter: tuple[str, ...],
    ) -> bytes:
        """Make a request; the arguments are those of `ModelServerClient.predict`.

        Raises:
            TensorError: An input is of a type that TensorFlow does not know.
            ValueError: Both a version and a label are given.
        """
        pieces: list[bytes | memoryview] = [
            self._heads(model, version, version_label, signature, output_filter)
        ]
        for alias, value in inputs.items():
            if _is_plain(value):
                pieces.append(self._frames(alias, value.dtype, value.shape))
                pieces.append(value.data.cast("B") if value.size else b"")
            else:
                pieces.append(_written(alias, value))
        return b"".join(pieces)


def fill_spec(spec: ModelSpec, model: str, version: int | None, version_label: str | None) -> None:
    """Say which version of which model is meant.

    Raises:
        ValueError: Both a version and a label are given.
    """
    if version is not None and version_label is not None:
        raise ValueError("Give a version or a version label, not both.")
    spec.name = model
    if version is not None:
        spec.version.value = version
    elif version_label is not None:
        spec.version_label = version_label


def _is_plain(value: NDArray[Any] | TensorProto) -> TypeGuard[NDArray[Any]]:
    """Whether the array's memory is what TensorFlow wants to have."""
    if not isinstance(value, np.ndarray) or not value.flags.c_contiguous or not value.ndim:
        return False
    element = element_type_of(value.dtype)
    return (
        element is not None and element.data_type != DataType.DT_BFLOAT16 and value.dtype == element.storage
    )


def _head(
    model: str,
    version: int | None,
    version_label: str | None,
    signature: str,
    output_filter: tuple[str, ...],
) -> bytes:
    request = PredictRequest(output_filter=output_filter)
    fill_spec(request.model_spec, model, version, version_label)
    request.model_spec.signature_name = signature
    content: bytes = request.SerializeToString()
    return content


def _frame(alias: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """What stands before the bytes of an array: an entry of the map of inputs, up to the content's first byte."""
    proto = TensorProto()
    write_tensor_proto(np.empty((0,), dtype), proto)
    proto.ClearField("tensor_shape")
    for length in shape:
        proto.tensor_shape.dim.add(size=length)
    count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    content = _field(TensorProto.TENSOR_CONTENT_FIELD_NUMBER, count)
    head = proto.SerializeToString() + content
    key = alias.encode()
    # A map is a repeated message with the key as its field 1 and the value as its field 2.
    entry = _field(1, len(key)) + key + _field(2, len(head) + count) + head
    return _field(PredictRequest.INPUTS_FIELD_NUMBER, len(entry) + count) + entry


def _written(alias: str, value: NDArray[Any] | TensorProto) -> bytes:
    request = PredictRequest()
    if isinstance(value, TensorProto):
        request.inputs[alias].CopyFrom(value)
    else:
        try:
            write_tensor_proto(value, request.inputs[alias])
        except TensorError as error:
            raise TensorError(f"Input {alias!r}: {error}") from error
    content: bytes = request.SerializeToString()
    return content


def _field(number: int, length: int) -> bytes:
    """The tag and the length of a field whose content follows."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(length)


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
