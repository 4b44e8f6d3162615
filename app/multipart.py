"""The fields of a multipart/form-data body that lies in memory (RFC 7578)."""

import re
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

_MAX_PART_HEADER_BYTES: Final = 16_384
_PLAIN_HEAD: Final = re.compile(rb"(?:[A-Za-z0-9-]+:[\t\x20-\x7e\x80-\xff]+(?:\r\n|\Z))+")


class MalformedFormError(ValueError):
    """The body is no such form; the message says why."""


class CutShortError(MalformedFormError):
    """The body ends before its closing boundary."""


def field_values(body: bytes, boundary: bytes, name: str) -> list[bytes]:
    """Find the parts with this name.

    Args:
        body: The whole body.
        boundary: As the Content-Type names it.
        name: The field's name.

    Returns:
        The content of each, in order; all other parts are passed over.

    Raises:
        CutShortError: The closing boundary is missing.
        MalformedFormError: Anything else is wrong.
    """
    found = _search(body, boundary, name.encode())
    # Whatever is unusual is for the parser to judge, which looks at every byte of the headers.
    return _parse(body, boundary, name.encode()) if found is None else found


def _search(body: bytes, boundary: bytes, name: bytes) -> list[bytes] | None:
    """Do it by looking for the boundary, as every HTTP library writes it: a few searches, and no copy but the result.

    Returns:
        The contents, at least one; None where anything is not as it usually is.
    """
    delimiter = b"\r\n--" + boundary
    found: list[bytes] = []
    # Nothing stands before the first boundary, and so no line break either.
    if not body.startswith(delimiter[2:]):
        return None
    at = len(delimiter) - 2
    while body[at : at + 2] == b"\r\n":
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
            return parse_options_header(value.strip())[1].get(b"name")
    return None


def _parse(body: bytes, boundary: bytes, name: bytes) -> list[bytes]:
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
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._wanted = False

    def on_part_begin(self) -> None:
        self._disposition = b""
        self._wanted = False

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]
        self._check_header_size()

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]
        self._check_header_size()

    def _check_header_size(self) -> None:
        if len(self._header_name) + len(self._header_value) > _MAX_PART_HEADER_BYTES:
            raise FormParserError("a part's header is too long")

    def on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._wanted = options.get(b"name") == self._name
        if self._wanted:
            self.found.append(bytearray())

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self.found[-1] += data[start:end]

    def on_end(self) -> None:
        self.finished = True
