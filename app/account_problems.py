"""The problems that accounts and the mailing list can have, and what accounts' own errors mean over HTTP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from accounts.addresses import EmailAddress, InvalidAddress
from accounts.asking_limits import AskedTooOften
from accounts.database import DatabaseAway
from accounts.export_limit import EXPORTS_PER_HOUR, ExportedTooOften
from accounts.limits import LimitsUnavailable
from accounts.links import LinkExpired, LinkUnknown, LinkUsed
from accounts.sign_up import AccountDisabled
from accounts.tokens.making import TokenProblem, UnknownAccount, UnknownToken
from app.errors import Problem, ServiceUnavailable, Unauthorized, problem_response
from app.openapi import problem_responses


class InvalidEmail(Problem):
    """The text is no e-mail address."""

    status, slug, title = 422, "invalid-email", "This is not an e-mail address"


class UnknownLink(Problem):
    """There is no such link."""

    status, slug, title = 404, "unknown-link", "There is no such link"


class ExpiredLink(Problem):
    """The link was not followed in time."""

    status, slug, title = 410, "link-expired", "The link has expired"


class UsedLink(Problem):
    """The link was followed already."""

    status, slug, title = 410, "link-used", "The link was used already"


class NoSuchToken(Problem):
    """The account has no token of this id."""

    status, slug, title = 404, "unknown-token", "The account has no such token"


class TokenRefused(Problem):
    """A token cannot be made or changed as asked."""

    status, slug, title = 422, "token-refused", "The token cannot be made like this"


class DisabledAccount(Problem):
    """An operator has switched the account off."""

    status, slug, title = 403, "account-disabled", "The account is switched off"


class TooManyMails(Problem):
    """Mails were asked for too often."""

    status, slug, title = 429, "too-many-mails", "Mails were asked for too often"


class TooManyExports(Problem):
    """The account was exported too often."""

    status, slug, title = 429, "too-many-exports", "The account was exported too often"


_OTHER_MEANINGS: Final = {
    403: "The token is good, but not for this, or the account is switched off.",
    404: "There is no such link or token.",
    410: "The link has expired, or was followed already.",
    422: "The body or a parameter is not as it must be.",
    429: "Too many mails to this address, too many requests from this network, or too many exports of this account, "
    "within an hour; the header Retry-After says when to try again.",
    503: "The database is away; the header Retry-After says when to try again.",
}


def account_problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route of accounts can answer with."""
    return problem_responses(*statuses, meanings=_OTHER_MEANINGS)


def read_address(text: str) -> EmailAddress:
    """Read an address that a caller gave.

    Raises:
        InvalidEmail: It is none.
    """
    try:
        return EmailAddress.parse(text)
    except InvalidAddress as error:
        raise InvalidEmail(f"{error} Send the address alone, as in ada@example.org.") from error


def _too_often(error: AskedTooOften) -> TooManyMails:
    what = "this address" if error.by_address else "your network"
    return TooManyMails(
        f"Too many mails were asked for within an hour, for {what}. Look for the one that was sent, or try again in "
        f"{error.retry_after:,} seconds.",
        headers={"Retry-After": str(error.retry_after)},
    )


def _exported_too_often(error: ExportedTooOften) -> TooManyExports:
    return TooManyExports(
        f"An account can be exported {EXPORTS_PER_HOUR} times an hour. Use the export that you have, or try again in "
        f"{error.retry_after:,} seconds.",
        headers={"Retry-After": str(error.retry_after)},
    )


_PROBLEMS: Final[dict[type[Exception], Callable[[Any], Problem]]] = {
    LinkUnknown: lambda _: UnknownLink(
        "The link is not one of ours, or it was cut in two. Copy it from the mail once more, whole."
    ),
    LinkExpired: lambda _: ExpiredLink(
        "The link was not followed in time, and does nothing any more. Ask for a new mail."
    ),
    LinkUsed: lambda _: UsedLink(
        "The link works once, and was followed already. If you need it again, ask for a new mail. If it was not you "
        "who followed it, sign in by that and revoke the tokens that you do not know."
    ),
    AccountDisabled: lambda _: DisabledAccount("The operator has switched this account off. Ask them why."),
    AskedTooOften: _too_often,
    ExportedTooOften: _exported_too_often,
    TokenProblem: lambda error: TokenRefused(str(error)),
    UnknownToken: lambda _: NoSuchToken(
        "The account has no token of this id. GET /accounts/me/tokens lists those it has."
    ),
    UnknownAccount: lambda _: Unauthorized("The account of this token was deleted."),
}


@contextmanager
def as_problems() -> Iterator[None]:
    """Turn the errors of accounts into problems.

    Raises:
        app.errors.Problem: In place of them.
    """
    try:
        yield
    except tuple(_PROBLEMS) as error:
        raise _PROBLEMS[type(error)](error) from error


async def _on_away(request: Request, error: Exception) -> JSONResponse:
    what = "limits" if isinstance(error, LimitsUnavailable) else "accounts"
    problem = ServiceUnavailable(
        f"The database of {what} is away just now. Nothing was done; send the same again.",
        retry_after=request.state.services.settings.retry_after_seconds,
    )
    return problem_response(problem, getattr(request.state, "request_id", None))


def add_account_error_handlers(app: FastAPI) -> None:
    """Answer 503 where the database or what counts is away."""
    app.add_exception_handler(DatabaseAway, _on_away)
    app.add_exception_handler(LimitsUnavailable, _on_away)
