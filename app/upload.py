"""The picture out of a multipart/form-data request, read into memory and nowhere else."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from app.errors import ClientClosedRequest, ContentTooLarge, InvalidUpload, NotMultipart, UploadTimeout

FIELD = "file"
_MAX_PART_HEADER_BYTES = 16_384


class _FilePart:
    """Collects the bytes of the parts named `file`; all other parts are passed over."""

    def __init__(self, boundary: bytes) -> None:
        self.data = bytearray()
        self.parts_seen = 0
        self.finished = False
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._wanted = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def _on_part_begin(self) -> None:
        self._disposition = b""
        self._wanted = False

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]
        self._check_header_size()

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]
        self._check_header_size()

    def _check_header_size(self) -> None:
        if len(self._header_name) + len(self._header_value) > _MAX_PART_HEADER_BYTES:
            raise FormParserError("a part's header is too long")

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._wanted = options.get(b"name") == FIELD.encode()
        self.parts_seen += self._wanted

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        # A second `file` is refused later on; it need not be held until then.
        if self._wanted and self.parts_seen == 1:
            self.data += data[start:end]

    def _on_end(self) -> None:
        self.finished = True


def most_bytes(request: Request, max_bytes: int) -> int:
    """Say how much `read_picture` may come to hold: known before a byte of the body is read.

    Args:
        request: The request.
        max_bytes: Limit of the whole body.

    Returns:
        The declared length in bytes; `max_bytes` where none is declared, and 0 where it is beyond that, for then
        nothing is read.
    """
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal():
        return max_bytes
    return int(declared) if int(declared) <= max_bytes else 0


async def read_picture(request: Request, max_bytes: int, seconds: float) -> bytes:
    """Read the field `file` of a multipart/form-data request.

    Args:
        request: The request, its body not yet read.
        max_bytes: Limit of the whole body, counted as it comes in: a chunked body or a wrong Content-Length
            does not get past it.
        seconds: How long the body may take to come in.

    Returns:
        The bytes of the field, at least one.

    Raises:
        NotMultipart: The body is something else.
        ContentTooLarge: More than `max_bytes`; the rest is not read.
        ClientClosedRequest: The caller went away.
        UploadTimeout: It took longer than `seconds`.
        InvalidUpload: Malformed, or `file` is missing, empty or there more than once.
    """
    part = _FilePart(_boundary(request))
    try:
        async with asyncio.timeout(seconds):
            async for chunk in _limited(request, max_bytes):
                part.feed(chunk)
    except TimeoutError as error:
        raise UploadTimeout(
            f"The request body did not come in within {seconds:g} seconds. Scale the picture down, or send it over a "
            "faster connection."
        ) from error
    except ClientDisconnect as error:
        raise ClientClosedRequest("The caller went away during the upload.") from error
    except FormParserError as error:
        raise InvalidUpload(
            f"The multipart body is malformed ({error}). Let your HTTP library build it, and do not set its "
            f"Content-Type by hand: {_curl(request)}"
        ) from error
    if not part.finished:
        raise InvalidUpload(
            "The multipart body ends before its closing boundary, so the upload was cut short. Send it again."
        )
    if part.parts_seen == 0:
        raise InvalidUpload(f'The form has no field "{FIELD}". Put the picture there: {_curl(request)}')
    if part.parts_seen > 1:
        raise InvalidUpload(
            f'The form has the field "{FIELD}" {part.parts_seen} times. Send one picture a request.'
        )
    if not part.data:
        raise InvalidUpload(f'The field "{FIELD}" is empty. Put the picture\'s bytes there: {_curl(request)}')
    return bytes(part.data)


def _boundary(request: Request) -> bytes:
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type != b"multipart/form-data":
        got = media_type.decode("latin-1") or "no Content-Type"
        raise NotMultipart(
            f'The request has {got}; multipart/form-data with the picture in the field "{FIELD}" is needed: '
            f"{_curl(request)}"
        )
    boundary = options.get(b"boundary")
    if not boundary:
        raise NotMultipart(
            "The Content-Type names no boundary. Do not set this header by hand; your HTTP library makes it: "
            f"{_curl(request)}"
        )
    return boundary


async def _limited(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    # Counted here rather than by FastAPI's max_body_size, whose 413 is plain text and not a problem.
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(f"has {int(declared):,} bytes", max_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes:
            raise _too_large("goes on", max_bytes)
        yield chunk


def _too_large(what: str, max_bytes: int) -> ContentTooLarge:
    return ContentTooLarge(
        f"The request body {what}, over the limit of {max_bytes:,} bytes. Scale the picture down: the models "
        "look at a few hundred pixels a side."
    )


def _curl(request: Request) -> str:
    """The call that would have worked."""
    url = request.url.replace(query="")
    return f'curl -H "Authorization: Bearer $TOKEN" -F "{FIELD}=@photo.jpg" {url}'
