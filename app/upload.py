"""The pictures out of a multipart/form-data request, read into memory and nowhere else."""

import asyncio
from typing import Final

from fastapi import Request
from python_multipart.multipart import parse_options_header

from app.errors import ClientClosedRequest, ContentTooLarge, InvalidUpload, NotMultipart, UploadTimeout
from app.multipart import (
    MOST_PARAMETERS,
    CutShortError,
    MalformedFormError,
    TooManyPartsError,
    field_values,
)

#: The field of a request with one picture, and that of a request with several.
FIELD = "file"
FIELD_OF_MANY = "files"
#: How many other fields a form may have; they are passed over.
OTHER_FIELDS: Final = 32


def most_bytes(request: Request, max_bytes: int) -> int:
    """Say how much the request's body may come to hold: known before a byte of it is read.

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
    pictures = await _read(request, FIELD, max_bytes, seconds, most=1)
    if len(pictures) > 1:
        raise InvalidUpload(
            f'The form has the field "{FIELD}" {len(pictures)} times. Send one picture a request.'
        )
    if not pictures[0]:
        raise InvalidUpload(
            f'The field "{FIELD}" is empty. Put the picture\'s bytes there: {_curl(request, FIELD)}'
        )
    return pictures[0]


async def read_pictures(request: Request, max_bytes: int, seconds: float, *, most: int) -> list[bytes]:
    """Read the field `files` of a multipart/form-data request, once for each picture.

    Args:
        request: As for `read_picture`.
        max_bytes: As for `read_picture`: of all pictures together.
        seconds: As for `read_picture`.
        most: How many pictures there may be.

    Returns:
        The bytes of each, in order, at least one picture; one may be empty.

    Raises:
        app.errors.Problem: As for `read_picture`; InvalidUpload too where there are more than `most`.
    """
    pictures = await _read(request, FIELD_OF_MANY, max_bytes, seconds, most=most)
    if len(pictures) > most:
        raise InvalidUpload(
            f'The form has the field "{FIELD_OF_MANY}" {len(pictures)} times; {most} pictures a request are allowed. '
            "Send the rest in further requests."
        )
    return pictures


async def _read(request: Request, field: str, max_bytes: int, seconds: float, *, most: int) -> list[bytes]:
    boundary = _boundary(request, field)
    try:
        async with asyncio.timeout(seconds):
            body = await _read_body(request, max_bytes)
    except TimeoutError as error:
        raise UploadTimeout(
            f"The request body did not come in within {seconds:g} seconds. Scale the picture down, or send it over a "
            "faster connection."
        ) from error
    try:
        found = field_values(body, boundary, field, most_parts=most + OTHER_FIELDS)
    except TooManyPartsError as error:
        raise InvalidUpload(
            f'The form has more than {most + OTHER_FIELDS} parts; {most} in the field "{field}" and {OTHER_FIELDS} '
            "others are allowed. Send further pictures in further requests, and leave out what is not needed here."
        ) from error
    except CutShortError as error:
        raise InvalidUpload(
            "The multipart body ends before its closing boundary, so the upload was cut short. Send it again."
        ) from error
    except MalformedFormError as error:
        raise InvalidUpload(
            f"The multipart body is malformed ({error}). Let your HTTP library build it, and do not set its "
            f"Content-Type by hand: {_curl(request, field)}"
        ) from error
    if not found:
        raise InvalidUpload(
            f'The form has no field "{field}". Put the picture there: {_curl(request, field)}'
        )
    return found


async def _read_body(request: Request, max_bytes: int) -> bytes:
    # Counted here rather than by FastAPI's max_body_size, whose 413 is plain text and not a problem.
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(f"has {int(declared):,} bytes", max_bytes)
    # Straight from the server: two generators around it would cost a small upload more than its parsing.
    receive = request.receive
    chunks: list[bytes] = []
    received = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientClosedRequest("The caller went away during the upload.")
        chunk: bytes = message.get("body", b"")
        received += len(chunk)
        if received > max_bytes:
            raise _too_large("goes on", max_bytes)
        if chunk:
            chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _boundary(request: Request, field: str) -> bytes:
    content_type = request.headers.get("content-type", "")
    if content_type.count(";") > MOST_PARAMETERS:
        raise NotMultipart(
            "The Content-Type has too many parameters. Do not set this header by hand; your HTTP library makes it: "
            f"{_curl(request, field)}"
        )
    media_type, options = parse_options_header(content_type)
    if media_type != b"multipart/form-data":
        got = media_type.decode("latin-1") or "no Content-Type"
        raise NotMultipart(
            f'The request has {got}; multipart/form-data with the picture in the field "{field}" is needed: '
            f"{_curl(request, field)}"
        )
    boundary = options.get(b"boundary")
    if not boundary:
        raise NotMultipart(
            "The Content-Type names no boundary. Do not set this header by hand; your HTTP library makes it: "
            f"{_curl(request, field)}"
        )
    return boundary


def _too_large(what: str, max_bytes: int) -> ContentTooLarge:
    return ContentTooLarge(
        f"The request body {what}, over the limit of {max_bytes:,} bytes. Scale the picture down: the models "
        "look at a few hundred pixels a side."
    )


def _curl(request: Request, field: str) -> str:
    """The call that would have worked."""
    url = request.url.replace(query="")
    pictures = " ".join(
        f'-F "{field}=@{name}.jpg"' for name in (("photo",) if field == FIELD else ("one", "two"))
    )
    return f'curl -H "Authorization: Bearer $TOKEN" {pictures} {url}'
