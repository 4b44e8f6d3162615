"""TensorProto to ndarray and back, with the semantics of TensorFlow's ``Tensor::FromProto``.

``tf.make_ndarray`` is close but not the same: it refuses some messages that the C++ server accepts, and the other
way round. The rules kept here (tensorflow/core/framework/tensor.cc): content wins when both forms are set; fewer
values than elements repeat the last one; no values at all mean zeros or empty strings; extra values are ignored.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.framework import types_pb2

Array = npt.NDArray[Any]

# No protobuf message can be larger, so a larger tensor can only come from a repeated value: a small request that
# would take all memory. The real server fails such an allocation; here it is refused before it is tried.
MAX_TENSOR_BYTES: Final = 2**31
MAX_RANK: Final = 254


class TensorParsingError(ValueError):
    """A TensorProto that does not describe a tensor."""


class _Kind(NamedTuple):
    """How one dtype travels in the ``*_val`` form.

    Attributes:
        field: The repeated field of TensorProto.
        wire: The dtype of one element as stored in memory (the bit pattern for half floats).
        carrier: The dtype that the field's numbers have before they are cast to `wire`.
        final: The dtype that TensorFlow gives the array.
    """

    field: str
    wire: np.dtype[Any]
    carrier: np.dtype[Any]
    final: np.dtype[Any]


def _kind(field: str, wire: str, carrier: str, enum: int) -> _Kind:
    return _Kind(field, np.dtype(wire), np.dtype(carrier), np.dtype(tf.as_dtype(enum).as_numpy_dtype))


def _kinds() -> dict[int, _Kind]:
    rows = {
        types_pb2.DT_FLOAT: ("float_val", "f4", "f4"),
        types_pb2.DT_DOUBLE: ("double_val", "f8", "f8"),
        types_pb2.DT_INT64: ("int64_val", "i8", "i8"),
        types_pb2.DT_UINT64: ("uint64_val", "u8", "u8"),
        types_pb2.DT_UINT32: ("uint32_val", "u4", "u4"),
        types_pb2.DT_BOOL: ("bool_val", "?", "?"),
        types_pb2.DT_COMPLEX64: ("scomplex_val", "c8", "f4"),
        types_pb2.DT_COMPLEX128: ("dcomplex_val", "c16", "f8"),
        types_pb2.DT_HALF: ("half_val", "u2", "i4"),
        types_pb2.DT_BFLOAT16: ("half_val", "u2", "i4"),
        types_pb2.DT_INT32: ("int_val", "i4", "i4"),
        types_pb2.DT_INT16: ("int_val", "i2", "i4"),
        types_pb2.DT_INT8: ("int_val", "i1", "i4"),
        types_pb2.DT_UINT16: ("int_val", "u2", "i4"),
        types_pb2.DT_UINT8: ("int_val", "u1", "i4"),
        types_pb2.DT_QINT8: ("int_val", "i1", "i4"),
        types_pb2.DT_QUINT8: ("int_val", "u1", "i4"),
        types_pb2.DT_QINT16: ("int_val", "i2", "i4"),
        types_pb2.DT_QUINT16: ("int_val", "u2", "i4"),
        types_pb2.DT_QINT32: ("int_val", "i4", "i4"),
    }
    return {enum: _kind(*row, enum) for enum, row in rows.items()}


_KINDS: Final = _kinds()
# Half floats have two enums for one numpy kind; quantised dtypes are structured. Both are looked up as they are.
_ENUMS: Final[dict[np.dtype[Any], int]] = {kind.final: enum for enum, kind in _KINDS.items()}


def _shape(proto: Any) -> tuple[int, ...]:
    shape = proto.tensor_shape
    if shape.unknown_rank or len(shape.dim) > MAX_RANK:
        raise TensorParsingError("the rank is unknown or too large")
    sizes = tuple(int(dim.size) for dim in shape.dim)
    if any(size < 0 for size in sizes):
        raise TensorParsingError("a dimension is negative")
    return sizes


def from_proto(proto: Any) -> Array:
    """Reads a TensorProto.

    Args:
        proto: A ``tensorflow.TensorProto`` in either form.

    Returns:
        An array of the proto's shape and dtype; strings are an object array of ``bytes``. It may be a read-only
        view of the message's own bytes.

    Raises:
        TensorParsingError: Unknown dtype, bad shape, or content of the wrong length.
    """
    sizes = _shape(proto)
    count = math.prod(sizes)
    if proto.dtype == types_pb2.DT_STRING:
        return _shaped(_strings(proto, count), sizes)
    kind = _KINDS.get(proto.dtype)
    if kind is None:
        raise TensorParsingError(f"dtype {proto.dtype} cannot be read")
    if count * kind.wire.itemsize > MAX_TENSOR_BYTES:
        raise TensorParsingError("the tensor is too large")
    # Read once: every look at the field copies it.
    content = proto.tensor_content
    flat = _content(content, count, kind) if content else _values(proto, count, kind)
    return _shaped(flat.view(kind.final), sizes)


def _shaped(flat: Array, sizes: tuple[int, ...]) -> Array:
    try:
        return flat.reshape(sizes)
    except ValueError as error:
        # More than numpy's 64 dimensions, or one that is zero beside others beyond all bounds.
        raise TensorParsingError("numpy cannot hold the shape") from error


def _content(content: bytes, count: int, kind: _Kind) -> Array:
    if count and len(content) != count * kind.wire.itemsize:
        raise TensorParsingError("the content has the wrong length")
    # A tensor without elements has no buffer to fill, so its content is not looked at.
    return np.frombuffer(content, kind.wire, count) if count else np.empty(0, kind.wire)


def _values(proto: Any, count: int, kind: _Kind) -> Array:
    values: Sequence[float] = getattr(proto, kind.field)
    per_element = 2 if kind.wire.kind == "c" else 1
    given = min(len(values) // per_element, count)
    if given == 0:
        return np.zeros(count, kind.wire)
    carried = np.array(values[: given * per_element], kind.carrier)
    head = carried.view(kind.wire) if per_element == 2 else carried.astype(kind.wire)
    if given == count:
        return head
    flat: Array = np.full(count, head[-1], kind.wire)
    flat[:given] = head
    return flat


def _strings(proto: Any, count: int) -> Array:
    if count * 8 > MAX_TENSOR_BYTES:
        raise TensorParsingError("the tensor is too large")
    if proto.tensor_content and count:
        values: list[bytes] = _string_list(proto.tensor_content, count)
    else:
        values = list(proto.string_val[:count])
        values += [values[-1] if values else b""] * (count - len(values))
    flat: Array = np.empty(count, object)
    flat[:] = values
    return flat


def _string_list(content: bytes, count: int) -> list[bytes]:
    """Reads the content form of strings: all lengths as varints, then all bytes."""
    lengths = []
    at = 0
    for _ in range(count):
        length = shift = 0
        while True:
            if at >= len(content) or shift > 28:
                raise TensorParsingError("the string lengths are cut short")
            byte = content[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if at + sum(lengths) != len(content):
        raise TensorParsingError("the strings do not fill the content")
    values = []
    for length in lengths:
        values.append(content[at : at + length])
        at += length
    return values


def to_proto(array: Array, proto: Any, *, as_content: bool = False) -> None:
    """Writes an array into an empty TensorProto.

    Args:
        array: Any array that TensorFlow gives back; strings as an object array of ``bytes``.
        proto: The ``tensorflow.TensorProto`` to fill.
        as_content: Use ``tensor_content`` for numbers, as ``--enable_serialization_as_tensor_content`` asks.
            Strings travel in ``string_val`` either way.
    """
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype.kind in "OSU":
        proto.dtype = types_pb2.DT_STRING
        proto.string_val.extend(array.ravel().tolist())
        return
    proto.dtype = _ENUMS[array.dtype]
    if as_content:
        proto.tensor_content = array.tobytes()
        return
    kind = _KINDS[proto.dtype]
    flat = np.ascontiguousarray(array).reshape(-1).view(kind.wire)
    if kind.wire.kind == "c":
        flat = flat.view(kind.carrier)
    getattr(proto, kind.field).extend(flat.tolist())


def dtype_name(array: Array) -> str:
    """Names an array's dtype as TensorFlow's messages do (``float``, ``int32``, ``string``)."""
    return enum_name(types_pb2.DT_STRING if array.dtype.kind in "OSU" else _ENUMS[array.dtype])


def enum_name(enum: int) -> str:
    """Names a ``DataType`` as TensorFlow's messages do."""
    return str(types_pb2.DataType.Name(enum)).removeprefix("DT_").lower()
