"""The mails that the service writes by itself: what they say, as plain text and as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

from accounts.mail.composing import Body, Letter

# Nobody's holiday answer shall come back (RFC 3834; the second is what Microsoft's servers look for).
_BY_A_MACHINE: Final = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}


@dataclass(frozen=True, slots=True)
class Link:
    """A line of a mail that leads somewhere.

    Attributes:
        label: What is to be done there.
        url: Where.
    """

    label: str
    url: str


def confirm_sign_up(url: str, expires: datetime) -> Letter:
    """Ask whoever reads the address whether they want an account."""
    return _letter(
        "Confirm your address for Sport Vision",
        [
            "Somebody, you we hope, asked for a Sport Vision account with this address.",
            Link("Confirm the address", url),
            f"The link works once, until {_moment(expires)}. Behind it you get a token with which to make others.",
            "If it was not you, do nothing: without the confirmation there is no account, and we forget the address.",
        ],
    )


def sign_in(url: str, expires: datetime) -> Letter:
    """Tell the owner of an account that they have one, and let them in."""
    return _letter(
        "Your Sport Vision account",
        [
            "Somebody, you we hope, asked for a Sport Vision account with this address. You have one already.",
            Link("Sign in to it", url),
            f"The link works once, until {_moment(expires)}. Behind it you get a token to manage your others with.",
            "If it was not you, do nothing. Nobody was told that you have an account.",
        ],
    )


def confirm_subscription(url: str, expires: datetime) -> Letter:
    """Ask whoever reads the address whether they want to be on the mailing list."""
    return _letter(
        "Confirm your subscription to Sport Vision's news",
        [
            "Somebody, you we hope, asked for Sport Vision's news to be sent to this address.",
            Link("Confirm the subscription", url),
            f"The link works once, until {_moment(expires)}.",
            "If it was not you, do nothing: without the confirmation we send nothing, and forget the address.",
        ],
    )


def already_subscribed(unsubscribe_url: str) -> Letter:
    """Tell a subscriber who subscribes anew that there is nothing to do."""
    return _letter(
        "You are subscribed to Sport Vision's news",
        [
            "Somebody, you we hope, asked for Sport Vision's news to be sent to this address.",
            "That is done already; there is nothing to confirm.",
            Link("Unsubscribe", unsubscribe_url),
        ],
    )


def _letter(subject: str, lines: Sequence[str | Link]) -> Letter:
    text = "\n\n".join(_as_text(line) for line in lines)
    html = "\n".join(_as_html(line) for line in lines)
    return Letter(subject, Body(text + "\n", html_document(subject, html)), _BY_A_MACHINE)


def _as_text(line: str | Link) -> str:
    return line if isinstance(line, str) else f"{line.label}:\n{line.url}"


def _as_html(line: str | Link) -> str:
    if isinstance(line, str):
        return f"<p>{escape(line)}</p>"
    return f'<p><a href="{escape(line.url)}">{escape(line.label)}</a></p>'


def html_document(title: str, content: str) -> str:
    """Wrap HTML into a document that needs nothing from elsewhere.

    Args:
        title: Plain text.
        content: HTML, which the caller answers for.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n</head>\n"
        f'<body style="font-family: sans-serif; line-height: 1.5; max-width: 40em">\n{content}\n</body>\n</html>\n'
    )


def _moment(time: datetime) -> str:
    return f"{time:%d %B %Y, %H:%M} {time.tzname() or ''}".rstrip()
