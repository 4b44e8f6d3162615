"""Gives every request an id, and turns what nobody caught into a problem that carries it."""

import logging
import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import InternalError, problem_response
from app.logs import current_request_id

HEADER = "X-Request-ID"
# What a caller may choose: enough for UUIDs, ULIDs and trace ids, nothing that could forge a log line.
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,128}")

_log = logging.getLogger(__name__)


class RequestIdMiddleware:
    """Takes the caller's `X-Request-ID` or makes one; puts it into the request's state and onto the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = False
        log_context = current_request_id.set(request_id)

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            # Starlette's own last resort stands outside this middleware and would answer without the id.
            _log.exception("request failed")
            if started:
                raise
            problem = InternalError(
                "The fault is ours, and it is logged under the request_id. Sending the same again may help."
            )
            await problem_response(problem, request_id)(scope, receive, send_with_id)
        finally:
            current_request_id.reset(log_context)
