"""What commands print: for people, or as JSON."""

import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from accounts.tables import Account, AuditEntry, Token
from accounts.tables.base import now
from accounts.tokens.making import NewToken


class CommandFailed(Exception):
    """The command cannot do what it was told to; the message says what to change."""


class Printer:
    """Prints to the standard output.

    Attributes:
        as_json: One JSON document for each command, in place of words.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def document(self, content: object) -> None:
        """Print JSON."""
        print(json.dumps(content, indent=2, ensure_ascii=False, default=_plain))

    def rows(self, rows: Sequence[Mapping[str, object]], nothing: str) -> None:
        """Print rows of equal keys: as a table for people."""
        if self.as_json:
            self.document(rows)
        elif not rows:
            print(nothing)
        else:
            titles = list(rows[0])
            lines = [titles, *([_cell(row[title]) for title in titles] for row in rows)]
            widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
            for line in lines:
                print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

    def row(self, row: Mapping[str, object], words: str) -> None:
        """Print one thing: in words for people."""
        if self.as_json:
            self.document(row)
        else:
            print(words)

    def new_token(self, new: NewToken) -> None:
        """Print a token, this once. For people it goes alone to the standard output, so that it can be piped."""
        if self.as_json:
            self.document({**token_row(new.row), "token": new.secret})
        else:
            print(
                f"Token {new.row.id} of account {new.row.account_id}, for {' '.join(new.row.scopes)}. It is shown "
                "this once and kept nowhere:",
                file=sys.stderr,
            )
            print(new.secret)


def account_row(account: Account) -> dict[str, object]:
    """What is told of an account."""
    return {
        "id": account.id,
        "email": account.email,
        "name": account.name,
        "plan": account.plan,
        "state": "disabled" if account.disabled_at else "active" if account.confirmed_at else "unconfirmed",
        "created_at": account.created_at,
    }


def token_row(token: Token) -> dict[str, object]:
    """What is told of a token."""
    return {
        "id": token.id,
        "account_id": token.account_id,
        "name": token.name,
        "ends_with": token.hint,
        "scopes": list(token.scopes),
        "plan": token.plan,
        "state": token_state(token),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
    }


def token_state(token: Token) -> str:
    """`active`, `revoked` or `expired`."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now() else "active"


def audit_row(entry: AuditEntry) -> dict[str, object]:
    """What is told of an entry of the audit log."""
    return {
        "id": entry.id,
        "at": entry.at,
        "actor": f"{entry.actor_kind} {entry.actor}",
        "action": entry.action,
        "account_id": entry.account_id,
        "token_id": entry.token_id,
        "details": entry.details,
    }


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no part of JSON")


def _cell(value: object) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, list):
        return " ".join(str(one) for one in value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value)
