"""Our tensors against TensorFlow's own reading and writing, in Python and in C++."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2

from proto_client import TensorError, from_tensor_proto, to_tensor_proto
from proto_client.dtypes import ELEMENT_TYPES, dtype_name
from proto_client.messages import DataType, TensorProto

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
NUMBERS = [element.storage for number, element in ELEMENT_TYPES.items() if number != DataType.DT_BFLOAT16]
BFLOAT16 = tf.bfloat16.as_numpy_dtype
FEW = settings(max_examples=25, deadline=None)


def ours(official: Any) -> TensorProto:
    return TensorProto.FromString(official.SerializeToString())


def official(proto: TensorProto) -> Any:
    return tensor_pb2.TensorProto.FromString(proto.SerializeToString())


def parse(proto: TensorProto) -> NDArray[Any]:
    """What TensorFlow's C++ Tensor::FromProto, which TF Serving uses, reads; an error of its own if nothing."""
    read = tf.io.parse_tensor(proto.SerializeToString(), tf.as_dtype(proto.dtype)).numpy()
    return np.asarray(read, object if proto.dtype == DataType.DT_STRING else None)


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
@FEW
@given(data=st.data(), as_values=st.booleans())
def test_tensorflow_reads_what_we_write(dtype: np.dtype[Any], as_values: bool, data: st.DataObject) -> None:
    sent = data.draw(hnp.arrays(dtype, SHAPES))
    proto = to_tensor_proto(sent, as_values=as_values)
    np.testing.assert_array_equal(tf.make_ndarray(official(proto)), sent, strict=True)
    np.testing.assert_array_equal(parse(proto), sent, strict=True)


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
@FEW
@given(data=st.data())
def test_we_read_what_tensorflow_writes(dtype: np.dtype[Any], data: st.DataObject) -> None:
    sent = data.draw(hnp.arrays(dtype, SHAPES))
    np.testing.assert_array_equal(from_tensor_proto(ours(tf.make_tensor_proto(sent))), sent, strict=True)
    serialised = tf.io.serialize_tensor(sent).numpy()
    np.testing.assert_array_equal(from_tensor_proto(TensorProto.FromString(serialised)), sent, strict=True)


@FEW
@given(sent=hnp.arrays(object, SHAPES, elements=st.binary(max_size=300), fill=st.nothing()))
def test_strings_cross_both_ways(sent: NDArray[Any]) -> None:
    proto = to_tensor_proto(sent)
    assert tf.make_ndarray(official(proto)).tolist() == sent.tolist()
    assert parse(proto).tolist() == sent.tolist()
    written = tf.make_tensor_proto(sent.tolist(), tf.string, sent.shape)
    assert from_tensor_proto(ours(written)).tolist() == sent.tolist()
    serialised = tf.io.serialize_tensor(tf.constant(sent.tolist(), tf.string, sent.shape)).numpy()
    assert from_tensor_proto(TensorProto.FromString(serialised)).tolist() == sent.tolist()


@FEW
@given(bits=hnp.arrays(np.uint16, SHAPES), as_values=st.booleans())
def test_bfloat16_crosses_both_ways(bits: NDArray[np.uint16], as_values: bool) -> None:
    sent = bits.view(BFLOAT16)
    proto = to_tensor_proto(sent, as_values=as_values)
    np.testing.assert_array_equal(tf.make_ndarray(official(proto)).view(np.uint16), bits)
    np.testing.assert_array_equal(parse(proto).view(np.uint16), bits)
    np.testing.assert_array_equal(from_tensor_proto(proto), sent.astype(np.float32), strict=True)
    np.testing.assert_array_equal(
        from_tensor_proto(ours(tf.make_tensor_proto(sent))), sent.astype(np.float32)
    )


READABLE = [*ELEMENT_TYPES, DataType.DT_STRING]


@settings(max_examples=300, deadline=None)
@given(
    data_type=st.sampled_from(READABLE),
    shape=st.lists(st.integers(-1, 3), max_size=3),
    content=st.just(b"")
    | st.binary(max_size=12)
    | st.sampled_from([b"\x01\x00\x01ab", b"\x80", bytes(8), bytes(16)]),
    ints=st.lists(st.integers(-300, 70_000), max_size=4),
    floats=st.lists(st.floats(width=16, allow_nan=False), max_size=5),
    strings=st.lists(st.binary(max_size=4), max_size=4),
)
def test_we_read_and_refuse_as_tensorflow_serving_does(
    data_type: DataType,
    shape: list[int],
    content: bytes,
    ints: list[int],
    floats: list[float],
    strings: list[bytes],
) -> None:
    proto = TensorProto(
        dtype=data_type, tensor_content=content, int_val=ints, half_val=ints, int64_val=ints, float_val=floats,
        uint32_val=map(abs, ints), uint64_val=map(abs, ints), bool_val=[number > 0 for number in ints],
        double_val=floats, scomplex_val=floats, dcomplex_val=floats, string_val=strings,
    )  # fmt: skip
    for length in shape:
        proto.tensor_shape.dim.add(size=length)
    try:
        read = from_tensor_proto(proto)
    except TensorError:
        with pytest.raises(tf.errors.InvalidArgumentError):
            parse(proto)
        return
    expected = parse(proto)
    if data_type == DataType.DT_BFLOAT16:
        expected = expected.astype(np.float32)
    np.testing.assert_array_equal(read, expected, strict=True)


@pytest.mark.parametrize("data_type", [number for number in DataType.values() if 0 < number < 100])
def test_dtypes_are_named_as_tensorflow_names_them(data_type: int) -> None:
    try:
        expected = tf.as_dtype(data_type).name
    except TypeError:
        pytest.skip("tf.as_dtype does not know this type")
    assert dtype_name(data_type) == expected
