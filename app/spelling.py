"""Paths with and without the slash at their end: either will do."""

from fastapi import FastAPI
from starlette.routing import Match
from starlette.types import Receive, Scope, Send


def take_both_spellings(app: FastAPI) -> None:
    """Serve a path that is only there in its other spelling as if it had come in that one.

    Starlette would redirect to it, by an absolute address. Where it does not know the proxy in front, that address
    begins with `http:`, and the caller would send token and picture once more, for everyone on the way to read.
    """
    router = app.router
    router.redirect_slashes = False
    not_found = router.default

    async def try_the_other(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            # In the request's own scope, where the middleware outside looks for the route.
            scope["path"] = path.rstrip("/") if path.endswith("/") else f"{path}/"
            if any(route.matches(scope)[0] is not Match.NONE for route in router.routes):
                await router(scope, receive, send)
                return
            scope["path"] = path
        await not_found(scope, receive, send)

    router.default = try_the_other
