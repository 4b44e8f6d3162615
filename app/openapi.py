"""The parts of the OpenAPI document that the routes cannot say by their types."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI

from app.errors import PROBLEM_MEDIA_TYPE
from app.schemas import ProblemDetails
from app.upload import FIELD, FIELD_OF_MANY
from preprocessing import ACCEPTED_FORMATS

_MEANINGS = {
    401: "No token, or one that is unknown, revoked or expired.",
    403: "The token is good, but not for this: it lacks the scope.",
    408: "The request body came in too slowly.",
    413: "The request body is over the limit.",
    415: "Not multipart/form-data, or the file is not a picture in a supported format.",
    422: "The field or a parameter is wrong, or the picture is damaged or has too many pixels.",
    429: "A limit of the token's plan is reached; the header Retry-After says when to try again.",
    502: "The model server failed.",
    503: "The model server, or the gateway, cannot answer just now; the header Retry-After says when to try again. "
    "Without that header, the endpoint is switched off.",
    504: "The answer did not come in time.",
}

# `format: binary` is what makes SDK generators take a file.
_PICTURE: Final = {
    "type": "string",
    "format": "binary",
    "description": f"The picture: {', '.join(ACCEPTED_FORMATS)}.",
}


def _upload(title: str, field: str, schema: dict[str, Any]) -> dict[str, Any]:
    form = {"title": title, "type": "object", "required": [field], "properties": {field: schema}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


#: The request body of every picture endpoint.
PICTURE_UPLOAD: Final = _upload("PictureUpload", FIELD, _PICTURE)
#: That of every batch form.
PICTURES_UPLOAD: Final = _upload(
    "PicturesUpload", FIELD_OF_MANY, {"type": "array", "minItems": 1, "items": _PICTURE}
)


#: What answers of limited endpoints carry. Without limits in the caller's plan they are not there.
RATE_LIMIT_HEADERS: Final[dict[str, Any]] = {
    "RateLimit-Policy": {
        "description": "The limits of the token's plan (draft-ietf-httpapi-ratelimit-headers): q is the quota, w its "
        "window in seconds, qu its unit.",
        "schema": {"type": "string"},
        "example": '"requests";q=30;w=15, "images";q=20000;w=86400;sportvision-unit="images"',
    },
    "RateLimit": {
        "description": "What is left of each: r remaining, t seconds until all of it is back.",
        "schema": {"type": "string"},
        "example": '"requests";r=29;t=1, "images";r=19999;t=43200',
    },
}
_RETRY_AFTER: Final[dict[str, Any]] = {
    "Retry-After": {
        "description": "Seconds after which the same request can be sent again.",
        "schema": {"type": "integer"},
    }
}
_HEADERS: Final = {429: {**_RETRY_AFTER, **RATE_LIMIT_HEADERS}, 503: _RETRY_AFTER}


def problem_responses(
    *statuses: int, meanings: Mapping[int, str] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route can answer with.

    Args:
        statuses: Their statuses.
        meanings: What they mean here, where it is not what they mean elsewhere.
    """
    said = {**_MEANINGS, **(meanings or {})}
    reference = {"schema": {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}}
    return {
        status: {
            "model": ProblemDetails,
            "description": said[status],
            "content": {PROBLEM_MEDIA_TYPE: reference},
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
        }
        for status in statuses
    }


def describe_problems_once(app: FastAPI) -> None:
    """Take the `application/json` off the problems, which FastAPI adds to every response that names a model."""
    made_by_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        known = app.openapi_schema is not None
        document = made_by_fastapi()
        if not known:
            for path in document["paths"].values():
                for operation in path.values():
                    for response in operation["responses"].values():
                        if PROBLEM_MEDIA_TYPE in response.get("content", {}):
                            response["content"].pop("application/json", None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI's documentation shows
