"""Headers that tell a browser what an answer of ours may do there: nothing, but for the two pages of documentation.

The set is that of the OWASP REST Security Cheat Sheet: an API's answer is data, so it is never sniffed for another
type, never framed, never a source of scripts, and its address is told to nobody.
"""

import base64
import hashlib
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = "Content-Security-Policy"
_DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_SAME_FOR_ALL: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
#: What Swagger UI and ReDoc load, as FastAPI's pages name it. Both write styles of their own into the page.
_DOCS_POLICY: Final = (
    "default-src 'none'",
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com",
    "font-src https://fonts.gstatic.com",
    "img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly",
    "connect-src 'self'",
    "worker-src blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
_INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class SecurityHeadersMiddleware:
    """Puts the headers on every answer; one that a route has set itself is left as it is.

    Args:
        app: The app.
        hsts_seconds: For how long browsers are to use HTTPS only (RFC 6797); 0 says nothing of it. It is said over
            HTTPS only, as the request's scheme or a proxy's `X-Forwarded-Proto` has it. Whoever forges that header
            gains nothing: browsers ignore the answer's header where it came over HTTP.
        docs: Paths of the pages of documentation, which need scripts and styles.
    """

    def __init__(self, app: ASGIApp, *, hsts_seconds: int, docs: Collection[str] = ()) -> None:
        self._app = app
        self._hsts = f"max-age={hsts_seconds}" if hsts_seconds else None
        self._docs = frozenset(docs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        hsts = self._hsts if self._hsts and _is_https(scope) else None

        def add(message: Message, policy: str) -> None:
            headers = MutableHeaders(scope=message)
            for name, value in _SAME_FOR_ALL.items():
                headers.setdefault(name, value)
            headers.setdefault(POLICY, policy)
            if hsts is not None:
                headers.setdefault("Strict-Transport-Security", hsts)

        async def send_data(message: Message) -> None:
            if message["type"] == "http.response.start":
                add(message, _DATA_POLICY)
            await send(message)

        held: Message | None = None

        async def send_docs(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                # What the page's own script is, only its body tells.
                held = message
                return
            if held is not None:
                add(held, docs_policy(message.get("body", b"")))
                await send(held)
                held = None
            await send(message)

        of_docs = scope["path"].rstrip("/") in self._docs
        await self._app(scope, receive, send_docs if of_docs else send_data)


def _is_https(scope: Scope) -> bool:
    if scope["scheme"] == "https":
        return True
    # Of several proxies, the first one is the caller's.
    forwarded = Headers(scope=scope).get("x-forwarded-proto", "")
    return forwarded.partition(",")[0].strip().lower() == "https"


@lru_cache(maxsize=8)
def docs_policy(page: bytes) -> str:
    """Make the policy of a page of documentation: of scripts in the page itself, those that are there now may run."""
    digests = [base64.b64encode(hashlib.sha256(script).digest()) for script in _INLINE_SCRIPT.findall(page)]
    scripts = ["https://cdn.jsdelivr.net", *(f"'sha256-{digest.decode()}'" for digest in digests)]
    return "; ".join((*_DOCS_POLICY, f"script-src {' '.join(scripts)}"))
