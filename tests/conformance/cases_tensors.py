"""How a TensorProto is read: the model ``types`` gives back what it was sent, one signature for each dtype."""

import struct
from typing import Any, Final

from tests.conformance.cases_model_spec import INVALID, PREDICT
from tests.conformance.wire import Case, predict_request, tensor

# signature: (dtype, field, values as sent and answered, struct format of the content)
_TYPES: Final[dict[str, tuple[str, str, list[Any], str]]] = {
    "float32": ("float", "float_val", [1.5, -2.25], "2f"),
    "float64": ("double", "double_val", [1.5, 1e300], "2d"),
    "float16": ("half", "half_val", [0x3C00, 0xC100], "2H"),
    "bfloat16": ("bfloat16", "half_val", [0x3F80, 0xC020], "2H"),
    "int8": ("int8", "int_val", [-128, 127], "2b"),
    "int16": ("int16", "int_val", [-32768, 32767], "2h"),
    "int32": ("int32", "int_val", [-(2**31), 2**31 - 1], "2i"),
    "int64": ("int64", "int64_val", [-(2**63), 2**63 - 1], "2q"),
    "uint8": ("uint8", "int_val", [0, 255], "2B"),
    "uint16": ("uint16", "int_val", [0, 65535], "2H"),
    "uint32": ("uint32", "uint32_val", [0, 2**32 - 1], "2I"),
    "uint64": ("uint64", "uint64_val", [0, 2**64 - 1], "2Q"),
    "bool": ("bool", "bool_val", [True, False], "2?"),
    "complex64": ("complex64", "scomplex_val", [1.5, -2.0, 0.0, 3.0], "4f"),
    "complex128": ("complex128", "dcomplex_val", [1.5, -2.0, 0.0, 3.0], "4d"),
    "string": ("string", "string_val", [b"\x00\xff\xfe", "größe".encode()], ""),
}


def _filled(dtype: str, field: str, values: list[Any], *shape: int) -> Any:
    fields: dict[str, Any] = {field: values}
    return tensor(dtype, *shape, **fields)


def _is(dtype: str, field: str, values: list[Any], *shape: int) -> Any:
    expected = _filled(dtype, field, values, *(shape or (2,)))

    def check(response: Any) -> None:
        assert response.outputs["y"] == expected

    return check


def _echo(name: str, signature: str, proto: Any, check: Any) -> Case:
    return Case(name, PREDICT, predict_request("types", {"x": proto}, signature=signature), check=check)


def _unreadable(name: str, proto: Any, signature: str = "float32") -> Case:
    request = predict_request("types", {"x": proto}, signature=signature)
    return Case(f"unreadable: {name}", PREDICT, request, INVALID, "tensor parsing error: x")


def _bad_dtype(number: int) -> Any:
    proto = tensor("float", 1, float_val=[1])
    proto.dtype = number
    return proto


BY_TYPE: Final = tuple(
    _echo(f"{signature} values", signature, _filled(dtype, field, values, 2), _is(dtype, field, values))
    for signature, (dtype, field, values, _) in _TYPES.items()
)
BY_CONTENT: Final = tuple(
    _echo(
        f"{signature} content",
        signature,
        tensor(dtype, 2, content=struct.pack(f"<{form}", *values)),
        _is(dtype, field, values),
    )
    for signature, (dtype, field, values, form) in _TYPES.items()
    if form
)
SHORT_CONTENT: Final = tuple(
    _unreadable(f"{signature} content too short", tensor(dtype, 2, content=b"1"), signature)
    for signature, (dtype, _, _, form) in _TYPES.items()
    if form
)

TWO_FLOATS: Final = struct.pack("<2f", 7, 8)

CASES: Final = (
    *BY_TYPE,
    *BY_CONTENT,
    *SHORT_CONTENT,
    _echo(
        "content wins",
        "float32",
        tensor("float", 2, content=TWO_FLOATS, float_val=[1, 2]),
        _is("float", "float_val", [7, 8]),
    ),
    _echo(
        "the last value is repeated",
        "float32",
        tensor("float", 4, float_val=[1, 2]),
        _is("float", "float_val", [1, 2, 2, 2], 4),
    ),
    _echo(
        "one value fills all",
        "int32",
        tensor("int32", 2, 2, int_val=[9]),
        _is("int32", "int_val", [9] * 4, 2, 2),
    ),
    _echo(
        "the last string is repeated",
        "string",
        tensor("string", 3, string_val=[b"a", b"b"]),
        _is("string", "string_val", [b"a", b"b", b"b"], 3),
    ),
    _echo(
        "the last complex is repeated",
        "complex64",
        tensor("complex64", 2, scomplex_val=[1, 2]),
        _is("complex64", "scomplex_val", [1, 2, 1, 2]),
    ),
    _echo("no values are zeros", "float32", tensor("float", 3), _is("float", "float_val", [0] * 3, 3)),
    _echo("no values are false", "bool", tensor("bool", 2), _is("bool", "bool_val", [False] * 2)),
    _echo(
        "no values are empty strings", "string", tensor("string", 2), _is("string", "string_val", [b"", b""])
    ),
    _echo(
        "extra values are ignored",
        "float32",
        tensor("float", 2, float_val=[1, 2, 3]),
        _is("float", "float_val", [1, 2]),
    ),
    _echo(
        "extra strings are ignored",
        "string",
        tensor("string", 2, string_val=[b"a", b"b", b"c"]),
        _is("string", "string_val", [b"a", b"b"]),
    ),
    _echo(
        "values in another type's field are not seen",
        "float32",
        tensor("float", 2, int_val=[5, 6]),
        _is("float", "float_val", [0, 0]),
    ),
    _echo("no elements", "float32", tensor("float", 3, 0), _is("float", "float_val", [], 3, 0)),
    _unreadable("content too long", tensor("float", 2, content=TWO_FLOATS + b"1")),
    _unreadable("content of one element less", tensor("float", 3, content=TWO_FLOATS)),
    _unreadable("no dtype", _bad_dtype(0)),
    _unreadable("dtype that does not exist", _bad_dtype(99)),
    _unreadable("resource dtype", _bad_dtype(20)),
    _unreadable("negative dimension", tensor("float", -1, float_val=[1])),
    _unreadable("negative beside positive", tensor("float", 2, -3, float_val=[1])),
    _unreadable("unknown rank", tensor("float", unknown_rank=True, float_val=[1])),
    _unreadable("huge shape", tensor("float", 2**50, float_val=[1])),
    _unreadable("shape that overflows", tensor("float", 2**40, 2**40, float_val=[1])),
    _unreadable("shape of the largest number", tensor("float", 2**63 - 1)),
)


def _words(response: Any) -> None:
    assert list(response.outputs["joined"].string_val) == [b"<>", b"<a>", b"<\xff\x00>"]
    assert list(response.outputs["length"].int_val) == [0, 1, 2]


STRINGS: Final = (
    Case(
        "strings in and out",
        PREDICT,
        predict_request("words", {"text": tensor("string", 3, string_val=[b"", b"a", b"\xff\x00"])}),
        check=_words,
    ),
)
