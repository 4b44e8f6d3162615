"""What a token may be used for: one scope for each capability."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """A capability of the API."""

    SPORT = "sport"
    PRODUCT = "product"
    USAGE = "usage"
    ACCOUNT = "account"


MEANINGS: Final[dict[Scope, str]] = {
    Scope.SPORT: "Ask which sport is in a picture.",
    Scope.PRODUCT: "Ask which sport product is in a picture.",
    Scope.USAGE: "See what the account has used.",
    Scope.ACCOUNT: "Make, list and revoke the account's tokens; export and delete the account.",
}
ALL_SCOPES: Final = frozenset(Scope)
#: What a token gets where nothing is said: enough to ask, not enough to make other tokens.
DEFAULT_SCOPES: Final = frozenset({Scope.SPORT, Scope.PRODUCT, Scope.USAGE})


class UnknownScope(ValueError):
    """There is no such scope; the message names those that there are."""


def read_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Read the names of scopes.

    Raises:
        UnknownScope: One of them is none, or there are none at all.
    """
    names = ", ".join(Scope)
    scopes = set()
    for word in words:
        if word not in ALL_SCOPES:
            raise UnknownScope(f"There is no scope of that name. The scopes are {names}.")
        scopes.add(Scope(word))
    if not scopes:
        raise UnknownScope(f"A token needs one scope at least. The scopes are {names}.")
    return frozenset(scopes)
