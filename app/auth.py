"""Which callers are let in: bearer tokens from the settings, compared in constant time."""

import hashlib
import hmac
from collections.abc import Iterable

from fastapi import Request
from fastapi.security.http import HTTPBearer

from app.errors import Unauthorized

_HOW = 'Send the header "Authorization: Bearer <token>" (or "Authorization: <token>").'


def _digest(token: str) -> bytes:
    # Of equal length whatever the token, so that a comparison tells nothing of lengths either.
    return hashlib.sha256(token.encode("utf-8")).digest()


class TokenCheck:
    """Knows the digests of the tokens that are let in."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = tuple(_digest(token) for token in tokens)

    def accepts(self, token: str) -> bool:
        """Say whether the token is known. Every known token is compared, so time tells nothing."""
        candidate = _digest(token)
        matches = [hmac.compare_digest(candidate, digest) for digest in self._digests]
        return any(matches)


class TokenBearer(HTTPBearer):
    """The `Authorization` header, as a dependency: `Bearer <token>`, or the raw token as older clients send it."""

    def __init__(self) -> None:
        super().__init__(
            scheme_name="token", description="`Bearer <token>`; the raw token alone is understood too."
        )

    async def __call__(self, request: Request) -> None:  # type: ignore[override]
        """Let the request pass.

        Raises:
            Unauthorized: No token, or an unknown one.
        """
        header = request.headers.get("authorization", "").strip()
        scheme, _, rest = header.partition(" ")
        token = rest.strip() if scheme.lower() == "bearer" else header
        if not token:
            raise Unauthorized(f"The request carries no token. {_HOW}")
        check: TokenCheck = request.state.services.token_check
        if not check.accepts(token):
            raise Unauthorized(f"The token in the Authorization header is not known here. {_HOW}")
