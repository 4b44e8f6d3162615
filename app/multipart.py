"""The fields of a multipart/form-data body that lies in memory (RFC 7578)."""

import re
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

#: More than any form needs that is filled in by people or libraries. Reading parts and parameters is work for Python,
#: some microseconds each, during which nobody else is served.
MOST_PARTS: Final = 64
MOST_PARAMETERS: Final = 64

# Of all headers of a part together: a file's name can have a few hundred letters, of nine bytes each where it is
# percent-encoded.
_MAX_PART_HEADER_BYTES: Final = 4096
_PLAIN_HEAD: Final = re.compile(rb"(?:[A-Za-z0-9-]+:[\t\x20-\x7e\x80-\xff]+(?:\r\n|\Z))+")


class MalformedFormError(ValueError):
    """The body is no such form; the message says why."""


class CutShortError(MalformedFormError):
    """The body ends before its closing boundary."""


class TooManyPartsError(MalformedFormError):
    """The body has more parts than may be."""


def field_values(body: bytes, boundary: bytes, name: str, *, most_parts: int = MOST_PARTS) -> list[bytes]:
    """Find the parts with this name.

    Args:
        body: The whole body.
        boundary: As the Content-Type names it.
        name: The field's name.
        most_parts: How many parts there may be, of this name and of others together.

    Returns:
        The content of each, in order; all other parts are passed over.

    Raises:
        CutShortError: The closing boundary is missing.
        TooManyPartsError: There are more than `most_parts`.
        MalformedFormError: Anything else is wrong.
    """
    found = _search(body, boundary, name.encode(), most_parts)
    # Whatever is unusual is for the parser to judge, which looks at every byte of the headers.
    return _parse(body, boundary, name.encode(), most_parts) if found is None else found


def _search(body: bytes, boundary: bytes, name: bytes, most_parts: int) -> list[bytes] | None:
    """Do it by looking for the boundary, as every HTTP library writes it: a few searches, and no copy but the result.

    Returns:
        The contents, at least one; None where anything is not as it usually is.

    Raises:
        MalformedFormError: There is more to read than may be.
    """
    delimiter = b"\r\n--" + boundary
    found: list[bytes] = []
    # Nothing stands before the first boundary, and so no line break either.
    if not body.startswith(delimiter[2:]):
        return None
    at = len(delimiter) - 2
    parts = 0
    while body[at : at + 2] == b"\r\n":
        parts += 1
        if parts > most_parts:
            raise _too_many(most_parts)
        head_end = body.find(b"\r\n\r\n", at, at + _MAX_PART_HEADER_BYTES)
        end = body.find(delimiter, head_end + 2)
        head = body[at + 2 : head_end]
        if head_end < 0 or end < head_end + 4 or not _PLAIN_HEAD.fullmatch(head):
            return None
        if _name(head) == name:
            found.append(body[head_end + 4 : end])
        at = end + len(delimiter)
    return found if found and body[at:] in (b"--\r\n", b"--") else None


def _name(head: bytes) -> bytes | None:
    for line in head.split(b"\r\n"):
        field, _, value = line.partition(b":")
        if field.lower() == b"content-disposition":
            return _name_of(value.strip())
    return None


def _name_of(disposition: bytes) -> bytes | None:
    if disposition.count(b";") > MOST_PARAMETERS:
        raise MalformedFormError("a part's Content-Disposition has too many parameters")
    return parse_options_header(disposition)[1].get(b"name")


def _too_many(most_parts: int) -> TooManyPartsError:
    return TooManyPartsError(f"it has more than {most_parts} parts")


def _parse(body: bytes, boundary: bytes, name: bytes, most_parts: int) -> list[bytes]:
    # Beside the parts' own there is the closing one. What follows a boundary may show that it was none, but only when
    # the parser has looked at it.
    if body.count(b"\r\n--" + boundary) > most_parts + 1:
        raise _too_many(most_parts)
    form = _Form(name)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.on_part_begin,
                "on_header_field": form.on_header_field,
                "on_header_value": form.on_header_value,
                "on_header_end": form.on_header_end,
                "on_headers_finished": form.on_headers_finished,
                "on_part_data": form.on_part_data,
                "on_end": form.on_end,
            },
        )
        parser.write(body)
    except FormParserError as error:
        raise MalformedFormError(str(error)) from error
    if not form.finished:
        raise CutShortError("it ends before its closing boundary")
    return [bytes(content) for content in form.found]


class _Form:
    """Takes the parser's events, and keeps the content of the parts that are wanted."""

    def __init__(self, name: bytes) -> None:
        self.found: list[bytearray] = []
        self.finished = False
        self._name = name
        self._header_bytes = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._wanted = False

    def on_part_begin(self) -> None:
        self._disposition = b""
        self._header_bytes = 0
        self._wanted = False

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _MAX_PART_HEADER_BYTES:
            raise FormParserError("a part's headers are too long")

    def on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def on_headers_finished(self) -> None:
        self._wanted = _name_of(self._disposition) == self._name
        if self._wanted:
            self.found.append(bytearray())

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self.found[-1] += data[start:end]

    def on_end(self) -> None:
        self.finished = True
