"""The few small pages behind links in mails, for people who open them in a browser; programs get JSON."""

from collections.abc import Awaitable, Callable, Sequence
from html import escape
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from app.errors import Problem
from app.small_body import SmallBodyRoute

#: A page may send its form back here, and nothing else: no scripts, no pictures, no frames.
_POLICY: Final = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
#: What such a page, and its JSON, is about is its reader's alone.
NO_STORE: Final = {"Cache-Control": "no-store"}
#: Beside the JSON, in a route's `responses`.
OR_A_PAGE: Final[dict[str, Any]] = {"content": {"text/html": {"schema": {"type": "string"}}}}


def wants_page(request: Request) -> bool:
    """Whether a browser asks."""
    return "text/html" in request.headers.get("accept", "")


def page(
    title: str,
    paragraphs: Sequence[str],
    *,
    button: str | None = None,
    secret: str | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    """Make a page.

    Args:
        title: Its title, plain text.
        paragraphs: Its words, plain text.
        button: What is written on a button that sends a POST to the page's own URL; None for none.
        secret: Shown for copying, below the words.
        status: The HTTP status.
        headers: Of the answer, beside its own.
    """
    content = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(text)}</p>" for text in paragraphs)]
    if secret is not None:
        content.append(f"<p><code>{escape(secret)}</code></p>")
    if button is not None:
        content.append(f'<form method="post"><button type="submit">{escape(button)}</button></form>')
    document = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n<meta name="robots" content="noindex">\n'
        f"<title>{escape(title)} · Sport Vision</title>\n</head>\n<body>\n"
        + "\n".join(content)
        + "\n</body>\n</html>\n"
    )
    own = {**NO_STORE, "Content-Security-Policy": _POLICY}
    return HTMLResponse(document, status, {**(headers or {}), **own})


class PageRoute(SmallBodyRoute):
    """A route that people open in browsers: its problems are pages for them, too."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Make the handler."""
        handler = super().get_route_handler()

        async def with_pages(request: Request) -> Response:
            try:
                return await handler(request)
            except Problem as problem:
                if not wants_page(request):
                    raise
                return page(problem.title, [problem.detail], status=problem.status, headers=problem.headers)

        return with_pages
