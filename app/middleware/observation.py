"""Counts and times every request, and logs one line for it."""

import logging
import time
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import fields
from app.metrics.recorder import Recorder

#: Where, in a request's state, an endpoint leaves the `Answered`.
ANSWERED: Final = "answered"
#: Where, in a request's state, the middleware leaves when its head was there, by `time.perf_counter`.
BEGAN: Final = "began"
#: The route of what is nowhere. A path is never shown as it came in: the number of paths is without bound, and people
#: put secrets into them.
UNMATCHED: Final = "unmatched"

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Asked every few seconds by machines; their lines and traces would bury all others.
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})

_log = logging.getLogger("app.access")


@dataclass(frozen=True, slots=True)
class Answered:
    """Which model answered a request, and when.

    Attributes:
        model: The model's name.
        version: The number of the version.
        at: When the model's answer was there, by `time.perf_counter`; what follows is the making of ours.
    """

    model: str
    version: int
    at: float


class ObservationMiddleware:
    """Stands outside all other middleware but `UnreadBodyMiddleware`, so that it sees every answer as it goes out."""

    def __init__(self, app: ASGIApp, recorder: Recorder) -> None:
        self._app = app
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        ended: float | None = None
        status = 500
        state = scope.setdefault("state", {})
        state[BEGAN] = started

        async def watched_send(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = state.get(ANSWERED)
                if answered is not None:
                    self._recorder.stage("encode", answered.model, time.perf_counter() - answered.at)
            elif not message.get("more_body", False):
                # Before it is sent: a caller who reads slowly, or still sends what nobody reads, takes its own time.
                ended = time.perf_counter()
            await send(message)

        self._recorder.request_started()
        try:
            await self._app(scope, receive, watched_send)
        finally:
            seconds = (time.perf_counter() if ended is None else ended) - started
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", UNMATCHED)
            self._recorder.request_ended(route=route, method=method, status=status, seconds=seconds)
            level = logging.DEBUG if route in PROBES and status < 400 else logging.INFO
            if _log.isEnabledFor(level):
                answered = state.get(ANSWERED)
                extra = fields(
                    request_id=state.get("request_id"),
                    method=method,
                    route=route,
                    status=status,
                    duration_ms=round(seconds * 1000, 2),
                    model=None if answered is None else answered.model,
                    model_version=None if answered is None else answered.version,
                )
                _log.log(level, "request", extra=extra)
