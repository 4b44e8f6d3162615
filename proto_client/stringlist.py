"""Strings inside `tensor_content`, as tensorflow_model_server writes them when told to serialise that way.

The form is TensorFlow's EncodeStringList (tensorflow/tsl/platform/coding and tstring's tensor_coding): first
every string's length as a varint, then all the bytes, one string after the other.
"""

__all__ = ["decode_string_list"]

_MAX_VARINT32_BYTES = 5


def decode_string_list(content: bytes, count: int) -> list[bytes]:
    """Splits the content into its strings.

    Args:
        content: The lengths and the bytes.
        count: How many strings there are.

    Returns:
        The strings.

    Raises:
        ValueError: A length is cut off or too long, or the bytes are not as many as the lengths say.
    """
    # Every string takes at least its length's one byte, so a false count cannot make this list long.
    if count > len(content):
        raise ValueError("there are too few bytes for the lengths.")
    lengths = []
    position = 0
    for _ in range(count):
        length, position = _read_varint32(content, position)
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise ValueError(f"{len(content) - position} bytes follow lengths that add up to {sum(lengths)}.")
    strings = []
    for length in lengths:
        strings.append(content[position : position + length])
        position += length
    return strings


def _read_varint32(content: bytes, position: int) -> tuple[int, int]:
    """Reads one protobuf varint; gives its value and the position after it."""
    value = 0
    for index, byte in enumerate(content[position : position + _MAX_VARINT32_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError("a length is cut off or too long.")
