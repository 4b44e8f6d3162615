from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import tensor_pb2, types_pb2

from model_server import tensors
from model_server.tensors import Array, TensorParsingError, dtype_name, from_proto, to_proto

NUMBERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64", "complex64", "complex128")

arrays = st.sampled_from(NUMBERS + FLOATS).flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
strings = hnp.arrays(
    np.dtype(object), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0), elements=st.binary(max_size=9)
)


def _written(array: Array, *, as_content: bool = False) -> Any:
    proto = tensor_pb2.TensorProto()
    to_proto(array, proto, as_content=as_content)
    return proto


@given(arrays, st.booleans())
def test_numbers_survive_the_round_trip(array: Array, as_content: bool) -> None:
    back = from_proto(_written(array, as_content=as_content))
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


@given(arrays, st.booleans())
def test_tensorflow_reads_what_is_written(array: Array, as_content: bool) -> None:
    back = tf.make_ndarray(_written(array, as_content=as_content))
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


@given(arrays)
def test_what_tensorflow_writes_is_read(array: Array) -> None:
    back = from_proto(tf.make_tensor_proto(array))
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


@given(strings)
def test_strings_survive_the_round_trip(array: Array) -> None:
    back = from_proto(_written(array))
    assert back.shape == array.shape
    assert back.ravel().tolist() == array.ravel().tolist()


def test_bfloat16() -> None:
    array = tf.constant([1.5, -2.0], tf.bfloat16).numpy()
    for as_content in (False, True):
        back = from_proto(_written(array, as_content=as_content))
        assert (back.dtype, back.tolist()) == (array.dtype, [1.5, -2.0])


def test_a_large_content_is_not_copied() -> None:
    proto = _written(np.zeros((4, 224, 224, 3), np.uint8), as_content=True)
    assert not from_proto(proto).flags.owndata


@pytest.mark.parametrize("words", [[b""], [b"a", b"", b"b" * 300], [b"\xff\x00"]])
def test_strings_in_content_are_read_as_tensorflow_writes_them(words: list[bytes]) -> None:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING)
    proto.tensor_shape.dim.add(size=len(words))
    lengths = b"".join(
        bytes([len(word)]) if len(word) < 128 else bytes([len(word) & 127 | 128, len(word) >> 7])
        for word in words
    )
    proto.tensor_content = lengths + b"".join(words)
    assert from_proto(proto).tolist() == words
    proto.tensor_content = proto.tensor_content + b"x"
    with pytest.raises(TensorParsingError):
        from_proto(proto)


def test_a_repeated_value_cannot_take_all_memory() -> None:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[1.0])
    proto.tensor_shape.dim.add(size=tensors.MAX_TENSOR_BYTES)
    with pytest.raises(TensorParsingError):
        from_proto(proto)


@pytest.mark.parametrize("sizes", [[1] * 65, [0, 2**62, 2**62]], ids=["rank 65", "empty but huge"])
@pytest.mark.parametrize("dtype", [types_pb2.DT_FLOAT, types_pb2.DT_STRING])
def test_a_shape_that_numpy_cannot_hold_is_refused(dtype: int, sizes: list[int]) -> None:
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    with pytest.raises(TensorParsingError):
        from_proto(proto)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("float32", "float"),
        ("float64", "double"),
        ("float16", "half"),
        ("uint8", "uint8"),
        ("bool", "bool"),
        ("O", "string"),
    ],
)
def test_dtypes_are_named_as_tensorflow_names_them(dtype: str, name: str) -> None:
    assert dtype_name(np.empty(0, dtype)) == name
