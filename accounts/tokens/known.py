"""What a lookup of a token gives."""

import uuid
from dataclasses import dataclass


class LookupUnavailable(Exception):
    """Nobody can say whether the token is good: the database is away, or too many ask it. Worth another try."""


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token that the database knows, as the gateway needs it.

    Attributes:
        token_id: Names it.
        subject: The same as text.
        account_id: Whose it is.
        name: What its owner calls it.
        scopes: What it may be used for.
        plan: The plan by which it is limited: its own, else its account's, else None for the default.
        expires_at: From when on it is refused, in seconds since the epoch; None for never.
        usable: False where it is revoked, or its account disabled or not confirmed.
    """

    token_id: uuid.UUID
    subject: str
    account_id: uuid.UUID
    name: str
    scopes: frozenset[str]
    plan: str | None
    expires_at: float | None
    usable: bool
