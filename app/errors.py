"""One error base that knows its HTTP answer, and the problems that the gateway can have (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

PROBLEM_MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:sportvision:problem:"


class Problem(Exception):
    """Something the caller must hear of. `detail` says what is wrong and what to change.

    Subclasses fix `status`, `slug` (the stable end of the problem's `type`) and `title`. `members` go into the answer
    beside RFC 9457's own.
    """

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **members: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


class Unauthorized(Problem):
    """No token, or one that is not known."""

    status, slug, title = 401, "unauthorized", "A valid token is needed"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class MetricsOff(Problem):
    """Metrics are switched off."""

    status, slug, title = 404, "metrics-off", "This gateway keeps no metrics"


class UploadTimeout(Problem):
    """The request body came in too slowly."""

    status, slug, title = 408, "upload-timeout", "The request body did not come in time"


class ContentTooLarge(Problem):
    """The request body is over the limit."""

    status, slug, title = 413, "content-too-large", "The request body is too large"


class NotMultipart(Problem):
    """The body is JSON, or anything else but multipart/form-data."""

    status, slug, title = 415, "not-multipart", "The body must be multipart/form-data"


class UnsupportedPicture(Problem):
    """The file is no picture, or one in a format that is not read."""

    status, slug, title = 415, "unsupported-picture", "The file is not a picture in a supported format"


class InvalidUpload(Problem):
    """The form is malformed, or its field `file` is missing, empty or there twice."""

    status, slug, title = 422, "invalid-upload", "The upload is not as it must be"


class CorruptPicture(Problem):
    """The picture is truncated or damaged."""

    status, slug, title = 422, "corrupt-picture", "The picture is truncated or damaged"


class TooManyPixels(Problem):
    """The picture would decode to more pixels than allowed."""

    status, slug, title = 422, "too-many-pixels", "The picture has too many pixels"


class InvalidParameter(Problem):
    """A query parameter has a value it cannot have."""

    status, slug, title = 422, "invalid-parameter", "A parameter has a value that it cannot have"


class ClientClosedRequest(Problem):
    """The caller went away; nobody reads this answer, but logs do."""

    status, slug, title = 499, "client-closed-request", "The client closed the request"


class InternalError(Problem):
    """A fault of ours."""

    status, slug, title = 500, "internal-error", "The service failed"


class ModelServerFailed(Problem):
    """The model server answered with an error that a retry will not mend."""

    status, slug, title = 502, "model-server-failed", "The model server could not answer"


class ServiceUnavailable(Problem):
    """The model server is away or busy, or the gateway is; worth another try."""

    status, slug, title = 503, "service-unavailable", "The service cannot answer just now"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class ModelNotConfigured(Problem):
    """The gateway was set up without the model that this endpoint needs; another try would not help."""

    status, slug, title = 503, "model-not-configured", "This endpoint is switched off"


class DeadlineExceeded(Problem):
    """The model's answer did not come in time."""

    status, slug, title = 504, "deadline-exceeded", "The answer did not come in time"


def problem_members(problem: Problem) -> dict[str, Any]:
    """The members of a problem where it stands inside of an answer, for one of several things that were asked."""
    return {
        "type": _TYPE_PREFIX + problem.slug,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
    }


def problem_response(problem: Problem, request_id: str | None) -> JSONResponse:
    """Turn a problem into its HTTP answer."""
    return _response(
        problem.status,
        problem.slug,
        problem.title,
        problem.detail,
        problem.headers,
        request_id,
        problem.members,
    )


def _response(
    status: int,
    slug: str,
    title: str,
    detail: str,
    headers: Mapping[str, str],
    request_id: str | None,
    members: Mapping[str, object],
) -> JSONResponse:
    body = {"type": _TYPE_PREFIX + slug, "title": title, "status": status, "detail": detail, **members}
    if request_id is not None:
        body["request_id"] = request_id
    return JSONResponse(body, status, headers, PROBLEM_MEDIA_TYPE)


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)  # noqa: S101 (Starlette types every handler for the widest exception)
    return problem_response(error, _request_id(request))


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    status = HTTPStatus(error.status_code)
    details = {
        404: f"There is nothing at {request.url.path}. The paths are listed in /openapi.json and at /docs.",
        405: f"{request.method} is not allowed at {request.url.path}; the Allow header says what is.",
    }
    return _response(
        status.value,
        status.phrase.lower().replace(" ", "-"),
        status.phrase,
        details.get(status.value, str(error.detail)),
        error.headers or {},
        _request_id(request),
        {},
    )


async def _on_invalid_parameter(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found: list[dict[str, Any]] = [
        {"parameter": str(item["loc"][-1]), "message": item["msg"], "value": str(item.get("input"))[:100]}
        for item in error.errors()
    ]
    detail = "; ".join(f"{item['parameter']} = {item['value']!r}: {item['message']}" for item in found)
    where = "header" if any(item["loc"][0] == "header" for item in error.errors()) else "query parameter"
    problem = InvalidParameter(f"{detail}. Change the {where} or leave it out.", errors=found)
    return problem_response(problem, _request_id(request))


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of the app a problem+json answer."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameter)
