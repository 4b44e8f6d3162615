"""JSON:API's media type (version 1.1), and which callers it can be sent to."""

import re
from typing import Final

from fastapi import Request
from fastapi.responses import JSONResponse
from python_multipart.multipart import parse_options_header

from app.errors import Problem

JSON_API_MEDIA_TYPE: Final = "application/vnd.api+json"

# The media ranges of an Accept header: commas part them, except inside quotes.
_RANGE: Final = re.compile(r'(?:[^,"]|"[^"]*")+')
# Far beyond what browsers send. A server may disregard the header (RFC 9110, section 12.5.1), and to read
# thousands of ranges would keep all other callers waiting.
_LONGEST: Final = 4096
# A weight is no parameter of the media type, and a server may pass over profiles; extensions it must know.
_HARMLESS: Final = {b"q", b"profile"}
_COVERING: Final = {b"application/json", b"application/*", b"*/*"}


class JsonApiResponse(JSONResponse):
    """What the OpenAPI document says of a JSON:API answer."""

    media_type = JSON_API_MEDIA_TYPE


class NotAcceptable(Problem):
    """The caller takes JSON:API only with parameters that nobody here knows."""

    status, slug, title = 406, "not-acceptable", "JSON:API is served without media type parameters"


async def require_plain_json_api(request: Request) -> None:
    """Refuse those whom JSON:API wants refused, and nobody else.

    A caller who asks for `application/json`, for a web page, for nothing in particular or for more than can be read
    here gets the document, since it is JSON to anyone who can read JSON.

    Raises:
        NotAcceptable: Every JSON:API media type of the `Accept` header has a parameter such as `charset` or `ext`,
            and no other media range there allows JSON (JSON:API 1.1, "Server Responsibilities").
    """
    accept = ",".join(request.headers.getlist("accept"))
    if len(accept) > _LONGEST:
        return
    ranges = [parse_options_header(one.strip()) for one in _RANGE.findall(accept)]
    json_api = [set(parameters) for name, parameters in ranges if name == JSON_API_MEDIA_TYPE.encode()]
    if not json_api or any(parameters <= _HARMLESS for parameters in json_api):
        return
    if not any(name in _COVERING for name, _ in ranges):
        raise NotAcceptable(
            f"The Accept header asks for {JSON_API_MEDIA_TYPE} with parameters that are not supported here. Send "
            f'"Accept: {JSON_API_MEDIA_TYPE}" without parameters, or leave the header out.'
        )
