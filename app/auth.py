"""Which callers are let in, and for what: tokens of the settings, and tokens of accounts."""

import hashlib
import hmac
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastapi import Request
from fastapi.security.http import HTTPBearer

from accounts.tokens.format import is_well_formed, looks_like_ours
from accounts.tokens.known import LookupUnavailable
from accounts.tokens.scopes import ALL_SCOPES, MEANINGS, Scope
from app.errors import Problem, ServiceUnavailable, Unauthorized

if TYPE_CHECKING:
    # A gateway without accounts has no use for SQLAlchemy, which is large.
    from accounts.opening import Accounts
    from app.services import Services

_HOW: Final = 'Send the header "Authorization: Bearer <token>" (or "Authorization: <token>").'


class MissingScope(Problem):
    """The token is good, but not for this."""

    status, slug, title = 403, "missing-scope", "The token may not be used for this"

    def __init__(self, caller: "Caller", scope: Scope) -> None:
        has = ", ".join(sorted(caller.scopes))
        super().__init__(
            f'The token has no scope "{scope}", only {has}. Make one that has it, or use another.',
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            needed_scope=scope,
        )


class AccountNeeded(Problem):
    """The token is one of the settings, behind which there is no account."""

    status, slug, title = 403, "account-needed", "The token belongs to no account"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        subject: Names the token wherever it must be told from others, as in limits; it tells nothing of the token.
        scopes: What the token may be used for.
        token_id: The token's id; None for a token of the settings.
        account_id: Whose token it is; None for a token of the settings.
        plan: The plan by which the token is limited; None for the default, and for a token of the settings.
    """

    subject: str
    scopes: frozenset[str]
    token_id: uuid.UUID | None = None
    account_id: uuid.UUID | None = None
    plan: str | None = None

    def require_account(self) -> uuid.UUID:
        """The account's id.

        Raises:
            AccountNeeded: The token is one of the settings.
        """
        if self.account_id is None:
            raise AccountNeeded(
                "The token in the Authorization header is one that the operator has set for this gateway. It belongs "
                "to no account; use a token of the account."
            )
        return self.account_id


def _digest(token: str) -> bytes:
    # Of equal length whatever the token, so that a comparison tells nothing of lengths either.
    return hashlib.sha256(token.encode("utf-8")).digest()


class TokenCheck:
    """Knows the digests of the settings' tokens. They may be used for everything."""

    def __init__(self, tokens: Iterable[str]) -> None:
        digests = [_digest(token) for token in tokens]
        self._callers = tuple(
            # Of a digest of the digest, by which nobody can check a guess without doing what the API does.
            (digest, Caller(f"static:{hashlib.sha256(digest).hexdigest()[:16]}", ALL_SCOPES))
            for digest in digests
        )

    def find(self, token: str) -> Caller | None:
        """The caller with this token, if it is known. Every one is compared, so time tells nothing."""
        candidate = _digest(token)
        found = None
        for digest, caller in self._callers:
            if hmac.compare_digest(candidate, digest):
                found = caller
        return found


def token_of(request: Request) -> str:
    """Read the token out of the `Authorization` header, raw or behind `Bearer`.

    Raises:
        Unauthorized: There is none.
    """
    header = request.headers.get("authorization", "").strip()
    scheme, _, rest = header.partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else header
    if not token:
        raise Unauthorized(f"The request carries no token. {_HOW}")
    return token


async def identify(services: "Services", token: str) -> Caller:
    """Find out whose token this is.

    Raises:
        Unauthorized: It is malformed, unknown, revoked or expired.
        ServiceUnavailable: The database that would know is away, and this process has not seen the token lately.
    """
    # Tokens of accounts first: they tell themselves from others without a comparison.
    if services.accounts is not None and looks_like_ours(token):
        caller = await _of_account(services.accounts, token, services.settings.retry_after_seconds)
        if caller is not None:
            return caller
    static = services.token_check.find(token)
    if static is not None:
        return static
    if services.accounts is None:
        raise Unauthorized(f"The token in the Authorization header is not known here. {_HOW}")
    if looks_like_ours(token) and not is_well_formed(token):
        raise Unauthorized(
            "The token in the Authorization header is damaged: its checksum does not fit. Copy it once more, whole: "
            'it has 39 characters, and begins with "sv_".'
        )
    raise Unauthorized(
        "The token in the Authorization header is not known here, or it was revoked, or it has expired. Make a new "
        f"one. {_HOW}"
    )


async def _of_account(accounts: "Accounts", token: str, retry_after: int) -> Caller | None:
    try:
        known = await accounts.lookup.find(token)
    except LookupUnavailable as error:
        raise ServiceUnavailable(
            f"The token cannot be checked just now. {error} It is not refused: try again.",
            retry_after=retry_after,
        ) from error
    if known is None:
        return None
    accounts.last_used.note(known.token_id, time.time())
    return Caller(known.subject, known.scopes, known.token_id, known.account_id, known.plan)


class TokenBearer(HTTPBearer):
    """The `Authorization` header, as a dependency: `Bearer <token>`, or the raw token as older clients send it.

    The caller is then in `request.state.caller`, too.
    """

    def __init__(self, scope: Scope) -> None:
        """Let in whoever has a token for this.

        Args:
            scope: What the token must be good for.
        """
        super().__init__(
            scheme_name="token", description="`Bearer <token>`; the raw token alone is understood too."
        )
        self._scope = scope
        self.needs = f'Needs a token with the scope "{scope}": {MEANINGS[scope]}'

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]
        """Let the request pass.

        Raises:
            Unauthorized: No token, or one that is not good.
            MissingScope: The token is good for other things only.
            ServiceUnavailable: Nobody can say whether it is good.
        """
        services: Services = request.state.services
        caller = await identify(services, token_of(request))
        if self._scope not in caller.scopes:
            raise MissingScope(caller, self._scope)
        request.state.caller = caller
        return caller
