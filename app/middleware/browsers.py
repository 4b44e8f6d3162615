"""What concerns browsers only: which pages may call this service, and what an answer may do in one."""

from typing import Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app.deadline import HEADER as REQUEST_TIMEOUT
from app.middleware.request_id import HEADER as REQUEST_ID
from app.middleware.security_headers import SecurityHeadersMiddleware
from app.model_label import HEADER as MODEL_LABEL
from app.web_settings import WebSettings

#: What scripts on other pages may read beside the answer's body and type.
EXPOSED: Final = (
    "Allow",
    "ETag",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Server-Timing",
    "WWW-Authenticate",
    MODEL_LABEL,
    "X-Model-Name",
    "X-Model-Version",
    REQUEST_ID,
)
#: What they may send.
ALLOWED: Final = (
    "Authorization",
    "Content-Type",
    "If-None-Match",
    MODEL_LABEL,
    REQUEST_ID,
    REQUEST_TIMEOUT,
    "traceparent",
)


def add_browser_middleware(app: FastAPI, settings: WebSettings) -> None:
    """Add both, as far as the settings want them."""
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            # Tokens are sent in a header that a page must know, never in cookies, so no page gains by a visitor's.
            allow_credentials=False,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=ALLOWED,
            expose_headers=EXPOSED,
        )
    docs = {path for path in (app.docs_url, app.redoc_url, app.swagger_ui_oauth2_redirect_url) if path}
    app.add_middleware(SecurityHeadersMiddleware, hsts_seconds=settings.hsts_seconds, docs=docs)
