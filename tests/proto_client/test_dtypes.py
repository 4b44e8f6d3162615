"""Which numpy dtype stands for which element type."""

import numpy as np
import pytest

from proto_client.dtypes import ELEMENT_TYPES, dtype_name, element_type_of
from proto_client.messages import DataType, TensorProto


@pytest.mark.parametrize("number", [number for number in ELEMENT_TYPES if number != DataType.DT_BFLOAT16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_table_reads_both_ways_in_any_byte_order(number: int, order: str) -> None:
    element = ELEMENT_TYPES[number]
    assert (
        element_type_of(np.dtype(element.storage.str[1:]).newbyteorder("<" if order == "<" else ">"))
        is element
    )


def test_every_field_exists_in_the_message() -> None:
    assert {element.field for element in ELEMENT_TYPES.values()} <= set(TensorProto.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize("dtype", ["O", "S3", "U3", "M8[s]", "m8[s]", "V2", "g", np.dtypes.StringDType()])
def test_other_dtypes_are_no_elements(dtype: str) -> None:
    assert element_type_of(np.dtype(dtype)) is None


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (DataType.DT_FLOAT, "float32"),
        (DataType.DT_HALF, "float16"),
        (DataType.DT_DOUBLE, "float64"),
        (DataType.DT_UINT8, "uint8"),
        (DataType.DT_STRING, "string"),
        (DataType.DT_BFLOAT16, "bfloat16"),
        (999, "unknown (999)"),
    ],
)
def test_names(number: int, name: str) -> None:
    assert dtype_name(number) == name
