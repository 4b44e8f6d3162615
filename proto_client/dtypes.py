"""Which numpy dtype stands for which TensorFlow element type, and which TensorProto field holds its values."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from proto_client.messages import DataType

__all__ = ["ELEMENT_TYPES", "ElementType", "dtype_name", "element_type_of"]


@dataclass(frozen=True, slots=True)
class ElementType:
    """How one TensorFlow element type is held.

    Attributes:
        data_type: TensorFlow's number.
        storage: The dtype of an element in `tensor_content`, little-endian.
        field: The repeated field of TensorProto that holds values one by one.
        field_storage: The dtype of that field's values; a complex element takes two of them, and bits of a
            half or a bfloat16 lie in the low half of an int32.
    """

    data_type: DataType
    storage: np.dtype[Any]
    field: str
    field_storage: np.dtype[Any]


def _element(data_type: DataType, storage: str, field: str, field_storage: str) -> ElementType:
    return ElementType(data_type, np.dtype(storage), field, np.dtype(field_storage))


# Types and fields: tensorflow/core/framework/types.proto and tensor.proto. bfloat16 is stored as its 16 bits.
ELEMENT_TYPES: dict[int, ElementType] = {
    element.data_type: element
    for element in (
        _element(DataType.DT_BOOL, "?", "bool_val", "?"),
        _element(DataType.DT_INT8, "<i1", "int_val", "<i4"),
        _element(DataType.DT_INT16, "<i2", "int_val", "<i4"),
        _element(DataType.DT_INT32, "<i4", "int_val", "<i4"),
        _element(DataType.DT_INT64, "<i8", "int64_val", "<i8"),
        _element(DataType.DT_UINT8, "<u1", "int_val", "<i4"),
        _element(DataType.DT_UINT16, "<u2", "int_val", "<i4"),
        _element(DataType.DT_UINT32, "<u4", "uint32_val", "<u4"),
        _element(DataType.DT_UINT64, "<u8", "uint64_val", "<u8"),
        _element(DataType.DT_HALF, "<f2", "half_val", "<i4"),
        _element(DataType.DT_BFLOAT16, "<u2", "half_val", "<i4"),
        _element(DataType.DT_FLOAT, "<f4", "float_val", "<f4"),
        _element(DataType.DT_DOUBLE, "<f8", "double_val", "<f8"),
        _element(DataType.DT_COMPLEX64, "<c8", "scomplex_val", "<f4"),
        _element(DataType.DT_COMPLEX128, "<c16", "dcomplex_val", "<f8"),
    )
}

_BY_STORAGE: dict[np.dtype[Any], ElementType] = {
    element.storage: element for number, element in ELEMENT_TYPES.items() if number != DataType.DT_BFLOAT16
}

_IRREGULAR_NAMES: dict[int, str] = {
    DataType.DT_HALF: "float16",
    DataType.DT_FLOAT: "float32",
    DataType.DT_DOUBLE: "float64",
}


def element_type_of(dtype: np.dtype[Any]) -> ElementType | None:
    """The element type that an array of numbers or booleans is sent as.

    Args:
        dtype: Of any byte order. ml_dtypes' bfloat16 is known by its name, without ml_dtypes.

    Returns:
        The element type, or None if TensorFlow has none for it (strings are not elements here).
    """
    if dtype.kind == "V":
        return ELEMENT_TYPES[DataType.DT_BFLOAT16] if dtype.name == "bfloat16" else None
    return _BY_STORAGE.get(dtype.newbyteorder("<")) if dtype.kind in "biufc" else None


def dtype_name(data_type: int) -> str:
    """TensorFlow's name of an element type, as `tf.as_dtype(...).name` gives it.

    Args:
        data_type: A number of DataType.

    Returns:
        "uint8", "float32", "string" and so on; "unknown (999)" for a number that DataType does not define.
    """
    if data_type in _IRREGULAR_NAMES:
        return _IRREGULAR_NAMES[data_type]
    if data_type not in DataType.values():
        return f"unknown ({data_type})"
    return DataType.Name(data_type).removeprefix("DT_").lower()
