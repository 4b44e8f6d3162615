"""Strings packed into tensor_content."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_client.stringlist import decode_string_list


def _varint(number: int) -> bytes:
    made = bytearray()
    while number >= 0x80:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300)))
def test_any_strings_come_back(strings: list[bytes]) -> None:
    content = b"".join(_varint(len(string)) for string in strings) + b"".join(strings)
    assert decode_string_list(content, len(strings)) == strings


def test_lengths_of_more_than_a_byte() -> None:
    strings = [b"a" * 20_000, b"", b"b" * 128]
    content = b"".join(_varint(len(string)) for string in strings) + b"".join(strings)
    assert decode_string_list(content, 3) == strings


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"\x01", 2),
        (b"\x80", 1),
        (b"\x80\x80\x80\x80\x80\x01", 1),
        (b"\x02a", 1),
        (b"\x01ab", 1),
        (b"\x01a", 10**18),
    ],
    ids=[
        "no second length",
        "length cut off",
        "length too long",
        "too few bytes",
        "too many bytes",
        "false count",
    ],
)
def test_what_does_not_add_up_is_refused(content: bytes, count: int) -> None:
    with pytest.raises(ValueError, match=r"\."):
        decode_string_list(content, count)


@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(0, 8))
def test_garbage_gives_strings_or_a_value_error(content: bytes, count: int) -> None:
    try:
        strings = decode_string_list(content, count)
    except ValueError:
        return
    assert len(strings) == count
