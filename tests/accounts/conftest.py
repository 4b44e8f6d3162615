"""Lookups of tokens, for the tests of them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from accounts.database import Database
from accounts.tokens.lookup import TokenLookup
from tests.accounts.lookups import FRESH, STALE, Clock, Opened, Unsteady
from tests.accounts.people import KEYS


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def unsteady(database: Database) -> Unsteady:
    return Unsteady(database)


@pytest.fixture
async def opened(unsteady: Unsteady, clock: Clock) -> AsyncIterator[Opened]:
    made: list[TokenLookup] = []

    def make(**changes: Any) -> TokenLookup:
        given: dict[str, Any] = {"fresh_seconds": FRESH, "stale_seconds": STALE, "size": 100, "clock": clock}
        made.append(TokenLookup(unsteady, changes.pop("keys", KEYS), **{**given, **changes}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        await one.close()
