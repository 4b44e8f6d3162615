"""ndarrays to TensorProto and back, after the rules of TensorFlow's own Tensor::FromProto.

Arrays are sent as `tensor_content`: raw bytes, many times faster than a repeated field. Answers are read in
both forms, because TensorFlow Serving sends `*_val` unless it is told otherwise.

| TensorFlow | sent from | read as |
|---|---|---|
| bool, integers, half, float, double, complex | the same numpy dtype, any byte order | the same |
| string | object arrays of bytes or str (as UTF-8), numpy's S, U and StringDType | object array of bytes |
| bfloat16 | ml_dtypes' bfloat16 | float32, which holds every bfloat16 exactly |

The rest (quantised, float8, int4, resources, variants) raise TensorError.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proto_client.dtypes import ELEMENT_TYPES, ElementType, dtype_name, element_type_of
from proto_client.messages import DataType, TensorProto
from proto_client.stringlist import decode_string_list

__all__ = ["TensorError", "from_tensor_proto", "to_tensor_proto", "write_tensor_proto"]

_MAX_DIMENSIONS = 64  # numpy's limit; TensorFlow's is 254

# A few bytes of message may stand for any number of elements, since the last value is repeated. A reply must
# not be able to take all memory that way; no honest one comes near this.
_MAX_PADDED_BYTES = 1 << 30


class TensorError(ValueError):
    """An array that TensorFlow has no type for, or a TensorProto that is malformed or not read here."""


def to_tensor_proto(array: NDArray[Any], *, as_values: bool = False) -> TensorProto:
    """Makes a TensorProto; see `write_tensor_proto`."""
    proto = TensorProto()
    write_tensor_proto(array, proto, as_values=as_values)
    return proto


def write_tensor_proto(array: NDArray[Any], proto: TensorProto, *, as_values: bool = False) -> None:
    """Writes an array into an empty TensorProto, such as an entry of a request's map of inputs.

    The array's bytes are copied twice, as protobuf demands: into a bytes object and from there into the
    message. An array that is not contiguous or big-endian is put in order on the way.

    Args:
        array: Any shape, any dtype of the table above.
        proto: The message to fill.
        as_values: Use the `*_val` field, as TensorFlow Serving does in its replies; strings always use it.

    Raises:
        TensorError: TensorFlow has no type for the array's dtype, or an object is neither bytes nor str.
    """
    array = np.asarray(array)
    element = element_type_of(array.dtype)
    if element is None:
        proto.string_val.extend(_encode_strings(array))
        proto.dtype = DataType.DT_STRING
    else:
        proto.dtype = element.data_type
        if element.data_type == DataType.DT_BFLOAT16:
            array = array.view(np.uint16)
        array = array.astype(element.storage, copy=False)
        if as_values:
            getattr(proto, element.field).extend(_to_field(array, element).tolist())
        else:
            proto.tensor_content = array.tobytes()
    proto.tensor_shape.SetInParent()  # a scalar has a shape too, one without dimensions
    for length in array.shape:
        proto.tensor_shape.dim.add(size=length)


def from_tensor_proto(proto: TensorProto) -> NDArray[Any]:
    """Reads a TensorProto in either form.

    `tensor_content` wins when both forms are there. Of the values of a `*_val` field, too many are cut off;
    if there are too few the last is repeated; none at all mean zeros or empty strings.

    Args:
        proto: The message.

    Returns:
        The array, of the message's shape and the dtype of the table above. From `tensor_content` it is a
        read-only view of the bytes, without a further copy, except for bfloat16, which is made
        anew; from values it is writable. Strings are an object array of bytes.

    Raises:
        TensorError: A negative dimension, an unknown rank, an element type that is not read here, content of
            the wrong length, or values that would have to be repeated beyond 1 GiB.
    """
    shape = _read_shape(proto)
    count = math.prod(shape)
    if proto.dtype == DataType.DT_STRING:
        array = _read_strings(proto, count)
    else:
        element = ELEMENT_TYPES.get(proto.dtype)
        if element is None:
            raise TensorError(f"Tensors of type {dtype_name(proto.dtype)} are not supported.")
        array = _read_elements(proto, count, element)
    try:
        return array.reshape(shape)
    except ValueError as error:  # no elements, but other dimensions beyond what numpy can hold
        raise TensorError(f"The shape {list(shape)} is too large.") from error


def _encode_strings(array: NDArray[Any]) -> list[bytes]:
    if array.dtype.kind not in "OSTU":
        raise TensorError(f"TensorFlow has no element type for numpy's {array.dtype}.")
    return [_encode_string(value) for value in array.ravel().tolist()]


def _encode_string(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise TensorError(f"A string is not valid Unicode: {error}") from error
    raise TensorError(f"An object array may hold bytes and str only, not {type(value).__name__}.")


def _to_field(array: NDArray[Any], element: ElementType) -> NDArray[Any]:
    """The flat values for the element type's repeated field; `array` is of the storage dtype."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if element.storage.kind == "c":
        return flat.view(element.field_storage)
    if element.data_type == DataType.DT_HALF:
        return flat.view(np.uint16)
    return flat


def _from_field(values: NDArray[Any], element: ElementType) -> NDArray[Any]:
    """The reverse; an integer too wide for the element keeps its low bits, as TensorFlow's cast does."""
    if element.storage.kind == "c":
        return values[: values.size // 2 * 2].view(element.storage)
    if element.data_type == DataType.DT_HALF:
        return values.astype(np.uint16).view(element.storage)
    return values.astype(element.storage, copy=False)


def _read_shape(proto: TensorProto) -> tuple[int, ...]:
    if proto.tensor_shape.unknown_rank:
        raise TensorError("The tensor's rank is unknown.")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if len(shape) > _MAX_DIMENSIONS:
        raise TensorError(f"The tensor has {len(shape)} dimensions; at most {_MAX_DIMENSIONS} can be read.")
    if any(length < 0 for length in shape):
        raise TensorError(f"The shape {list(shape)} has a negative dimension.")
    return shape


def _read_elements(proto: TensorProto, count: int, element: ElementType) -> NDArray[Any]:
    """Flat elements, `count` of them."""
    content = proto.tensor_content if count else b""
    if content:
        if len(content) != count * element.storage.itemsize:
            raise TensorError(
                f"tensor_content has {len(content)} bytes where {count} elements of type"
                f" {dtype_name(proto.dtype)} take {count * element.storage.itemsize}."
            )
        elements = np.frombuffer(content, element.storage)
        if element.storage.kind == "b" and (elements.view(np.uint8) > 1).any():
            raise TensorError("tensor_content holds a bool that is neither 0 nor 1.")
    else:
        values = np.array(getattr(proto, element.field), element.field_storage)
        elements = _pad(_from_field(values, element), count)
    if element.data_type == DataType.DT_BFLOAT16:
        # A bfloat16 is the upper half of a float32.
        return (elements.astype(np.uint32) << 16).view(np.float32)
    return elements


def _pad(values: NDArray[Any], count: int) -> NDArray[Any]:
    if values.size >= count:
        return values[:count]
    _check_padding(count, values.itemsize)
    padded = np.zeros(count, values.dtype)
    if values.size:
        padded[: values.size] = values
        padded[values.size :] = values[-1]
    return padded


def _read_strings(proto: TensorProto, count: int) -> NDArray[Any]:
    strings: Sequence[bytes]
    if count and proto.tensor_content:
        try:
            strings = decode_string_list(proto.tensor_content, count)
        except ValueError as error:
            raise TensorError(f"tensor_content does not hold {count} strings: {error}") from error
    else:
        strings = proto.string_val[:count]
        if len(strings) < count:
            _check_padding(count, np.dtype(object).itemsize)
    array = np.empty(count, dtype=object)
    array[: len(strings)] = strings
    array[len(strings) :] = strings[-1] if strings else b""
    return array


def _check_padding(count: int, itemsize: int) -> None:
    if count * itemsize > _MAX_PADDED_BYTES:
        raise TensorError(f"Too few values for {count} elements, and too many elements to repeat the last.")
