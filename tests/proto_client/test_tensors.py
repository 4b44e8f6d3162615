"""ndarrays to TensorProto and back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from proto_client import TensorError, from_tensor_proto, to_tensor_proto
from proto_client.dtypes import ELEMENT_TYPES
from proto_client.messages import DataType, TensorProto

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
NUMBERS = [element.storage for number, element in ELEMENT_TYPES.items() if number != DataType.DT_BFLOAT16]
ANY_FORM = pytest.mark.parametrize("as_values", [False, True], ids=["content", "values"])


def assert_same(read: NDArray[Any], sent: NDArray[Any]) -> None:
    """Same shape, dtype (in the machine's order) and bits."""
    assert read.shape == sent.shape
    assert read.dtype == sent.dtype.newbyteorder("=")
    assert read.tobytes() == sent.astype(read.dtype).tobytes()


def made(data_type: DataType, shape: tuple[int, ...], **values: Any) -> TensorProto:
    proto = TensorProto(dtype=data_type, **values)
    for length in shape:
        proto.tensor_shape.dim.add(size=length)
    return proto


@ANY_FORM
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
@settings(deadline=None)
@given(data=st.data())
def test_every_dtype_comes_back(
    dtype: np.dtype[Any], order: Any, as_values: bool, data: st.DataObject
) -> None:
    # A float travels through a Python float in the values, which may turn a NaN's spare bits; zero NaNs have none.
    elements = hnp.from_dtype(dtype, allow_nan=False) if dtype.kind in "fc" else None
    sent = data.draw(hnp.arrays(dtype.newbyteorder(order), SHAPES, elements=elements))
    proto = to_tensor_proto(sent, as_values=as_values)
    assert bool(proto.tensor_content) == (not as_values and sent.size > 0)
    assert_same(from_tensor_proto(TensorProto.FromString(proto.SerializeToString())), sent)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64], ids=str)
@ANY_FORM
def test_what_is_not_a_number_stays_so(dtype: type[np.generic], as_values: bool) -> None:
    sent = np.array([np.nan, np.inf, -np.inf, -0.0], dtype)
    read = from_tensor_proto(to_tensor_proto(sent, as_values=as_values))
    np.testing.assert_array_equal(read, sent)
    assert np.signbit(read.real[3])


@pytest.mark.parametrize("dtype", [dtype for dtype in NUMBERS if dtype.kind in "iu"], ids=str)
@ANY_FORM
def test_the_limits_of_every_integer_come_back(dtype: np.dtype[Any], as_values: bool) -> None:
    sent = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)
    assert_same(from_tensor_proto(to_tensor_proto(sent, as_values=as_values)), sent)


@ANY_FORM
@settings(deadline=None)
@given(bits=hnp.arrays(np.uint16, SHAPES))
def test_bfloat16_widens_to_float32(bits: NDArray[np.uint16], as_values: bool) -> None:
    proto = TensorProto(dtype=DataType.DT_BFLOAT16)
    if as_values:
        proto.half_val.extend(bits.ravel().tolist())
    else:
        proto.tensor_content = bits.tobytes()
    for length in bits.shape:
        proto.tensor_shape.dim.add(size=length)
    read = from_tensor_proto(proto)
    assert read.dtype == np.float32
    assert read.shape == bits.shape
    np.testing.assert_array_equal(read.view(np.uint32) >> 16, bits)
    np.testing.assert_array_equal(read.view(np.uint32) & 0xFFFF, 0)


@settings(deadline=None)
@given(hnp.arrays(object, SHAPES, elements=st.binary(), fill=st.nothing()))
def test_bytes_come_back(sent: NDArray[Any]) -> None:
    read = from_tensor_proto(to_tensor_proto(sent))
    assert read.dtype == object
    assert read.shape == sent.shape
    assert read.tolist() == sent.tolist()


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None)
@given(hnp.arrays(object, SHAPES, elements=TEXT, fill=st.nothing()))
def test_text_goes_as_utf8(sent: NDArray[Any]) -> None:
    read = from_tensor_proto(to_tensor_proto(sent))
    assert read.shape == sent.shape
    assert [value.decode() for value in read.ravel()] == sent.ravel().tolist()


@pytest.mark.parametrize(
    "sent",
    [
        np.array([["Zürich", ""], ["a", "bc"]]),
        np.array([["Zürich", ""], ["a", "bc"]], np.dtypes.StringDType()),
        np.array([["Zürich".encode(), b""], [b"a", b"bc"]]),
        np.array([["Zürich", b""], [np.str_("a"), np.bytes_(b"bc")]], object),
    ],
    ids=["U", "StringDType", "S", "mixed objects"],
)
def test_every_kind_of_string_array_is_taken(sent: NDArray[Any]) -> None:
    assert from_tensor_proto(to_tensor_proto(sent)).tolist() == [["Zürich".encode(), b""], [b"a", b"bc"]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(1, "datetime64[s]"), r"no element type for numpy's datetime64\[s\]"),
        (np.zeros(1, [("a", "<i4")]), "no element type"),
        (np.zeros(1, "V4"), "no element type"),
        (np.array([b"a", 1], object), "bytes and str only, not int"),
        (np.array([None], object), "bytes and str only, not NoneType"),
        (np.array(["\ud800"], object), "not valid Unicode"),
    ],
)
def test_what_tensorflow_has_no_type_for_is_refused(array: NDArray[Any], message: str) -> None:
    with pytest.raises(TensorError, match=message):
        to_tensor_proto(array)


@pytest.mark.parametrize(
    "view",
    [
        np.arange(24, dtype=np.int32).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(24, dtype=np.int32)[::-3],
        np.asfortranarray(np.arange(24, dtype=np.float32).reshape(4, 6)),
        np.broadcast_to(np.uint8(7), (3, 3)),
        np.arange(24, dtype=">c16").reshape(4, 6)[1:, ::2],
        np.array(5, np.int64),
    ],
    ids=["transposed", "backwards", "Fortran", "broadcast", "big-endian slice", "scalar"],
)
@ANY_FORM
def test_arrays_that_are_not_contiguous_come_back(view: NDArray[Any], as_values: bool) -> None:
    assert_same(from_tensor_proto(to_tensor_proto(view, as_values=as_values)), view)


def test_content_is_read_as_a_read_only_view() -> None:
    read = from_tensor_proto(to_tensor_proto(np.arange(6, dtype=np.float32).reshape(2, 3)))
    assert not read.flags.writeable
    assert not read.flags.owndata


def test_values_are_read_into_an_array_of_ones_own() -> None:
    proto = to_tensor_proto(np.arange(6, dtype=np.float32), as_values=True)
    read = from_tensor_proto(proto)
    read[0] = 9
    assert proto.float_val[0] == 0


def _last_repeated(values: list[Any], count: int, nothing: Any) -> list[Any]:
    return (values + [values[-1] if values else nothing] * count)[:count]


@pytest.mark.parametrize(
    ("data_type", "field", "some", "nothing"),
    [
        (DataType.DT_FLOAT, "float_val", [1.5, 2.5, 3.5], 0.0),
        (DataType.DT_DOUBLE, "double_val", [1.5, 2.5, 3.5], 0.0),
        (DataType.DT_UINT8, "int_val", [1, 2, 255], 0),
        (DataType.DT_INT64, "int64_val", [1, -2, 1 << 62], 0),
        (DataType.DT_BOOL, "bool_val", [True, False, True], False),
        (DataType.DT_STRING, "string_val", [b"a", b"", b"b\xff"], b""),
        (DataType.DT_UINT64, "uint64_val", [1, 2, (1 << 64) - 1], 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("count", range(7))
@pytest.mark.parametrize("given_count", range(4))
def test_too_few_values_repeat_the_last_and_too_many_are_cut(
    data_type: DataType, field: str, some: list[Any], nothing: Any, count: int, given_count: int
) -> None:
    values = some[:given_count]
    read = from_tensor_proto(made(data_type, (count,), **{field: values}))
    assert read.tolist() == _last_repeated(values, count, nothing)


def test_complex_values_come_in_pairs_and_a_lone_half_is_ignored() -> None:
    read = from_tensor_proto(made(DataType.DT_COMPLEX64, (3,), scomplex_val=[1, 2, 3, 4, 5]))
    assert read.tolist() == [1 + 2j, 3 + 4j, 3 + 4j]


def test_integers_too_wide_for_the_element_keep_their_low_bits() -> None:
    assert from_tensor_proto(made(DataType.DT_UINT8, (2,), int_val=[256 + 7, -1])).tolist() == [7, 255]


def test_content_wins_over_values() -> None:
    content = np.array([1, 2], np.int32).tobytes()
    proto = made(DataType.DT_INT32, (2,), tensor_content=content, int_val=[8, 9])
    assert from_tensor_proto(proto).tolist() == [1, 2]


def test_strings_inside_content_are_read() -> None:
    proto = made(DataType.DT_STRING, (2, 2), tensor_content=b"\x01\x00\x02\x00abc")
    assert from_tensor_proto(proto).tolist() == [[b"a", b""], [b"bc", b""]]


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (
            made(DataType.DT_INT32, (2,), tensor_content=b"1234567"),
            "7 bytes where 2 elements of type int32 take 8",
        ),
        (made(DataType.DT_INT32, (1,), tensor_content=b"12345678"), "8 bytes where 1 elements"),
        (made(DataType.DT_BOOL, (2,), tensor_content=b"\x01\x02"), "neither 0 nor 1"),
        (made(DataType.DT_STRING, (2,), tensor_content=b"\x01"), "does not hold 2 strings"),
        (made(DataType.DT_INT32, (-1,)), r"shape \[-1\] has a negative dimension"),
        (made(DataType.DT_INT32, (1,) * 65, int_val=[1]), "65 dimensions; at most 64"),
        (made(DataType.DT_INT32, (1 << 40,), int_val=[1]), "Too few values for 1099511627776 elements"),
        (made(DataType.DT_STRING, (1 << 40,)), "Too few values"),
        (made(DataType.DT_INT8, (1 << 62,) * 4), "Too few values"),
        (made(DataType.DT_INT32, (0, 1 << 62, 1 << 62)), "is too large"),
        (made(DataType.DT_STRING, (0, 1 << 62, 1 << 62)), "is too large"),
        (made(DataType.DT_INVALID, ()), "type invalid are not supported"),
        (made(DataType.DT_RESOURCE, ()), "type resource are not supported"),
        (made(DataType.DT_QUINT8, (1,)), "type quint8 are not supported"),
    ],
)
def test_malformed_tensors_are_refused(proto: TensorProto, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        from_tensor_proto(proto)


def test_an_unknown_rank_is_refused() -> None:
    proto = TensorProto(dtype=DataType.DT_INT32, int_val=[1])
    proto.tensor_shape.unknown_rank = True
    with pytest.raises(TensorError, match="rank is unknown"):
        from_tensor_proto(proto)


def test_a_type_of_the_future_is_refused() -> None:
    proto = TensorProto.FromString(b"\x08\xe7\x07")  # dtype: 999
    with pytest.raises(TensorError, match=r"unknown \(999\)"):
        from_tensor_proto(proto)


@settings(deadline=None)
@given(
    data_type=st.sampled_from(DataType.values()),
    shape=st.lists(st.integers(-2, 5) | st.integers(-(1 << 63), (1 << 63) - 1), max_size=3),
    content=st.binary(max_size=20),
    ints=st.lists(st.integers(-(1 << 31), (1 << 31) - 1), max_size=4),
    floats=st.lists(st.floats(width=32), max_size=4),
    strings=st.lists(st.binary(max_size=4), max_size=4),
)
def test_whatever_comes_is_read_or_refused(
    data_type: DataType,
    shape: list[int],
    content: bytes,
    ints: list[int],
    floats: list[float],
    strings: list[bytes],
) -> None:
    proto = made(
        data_type, tuple(shape), tensor_content=content, int_val=ints, half_val=ints, float_val=floats,
        scomplex_val=floats, string_val=strings,
    )  # fmt: skip
    try:
        read = from_tensor_proto(proto)
    except TensorError:
        return
    assert read.shape == tuple(shape)
