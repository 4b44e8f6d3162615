"""What it costs to check a token, for every request: the settings' tokens, and those of accounts.

    python -m benchmarks.token_check

The very function that the gateway calls is called here, without HTTP around it. Each kind of check has its turn in
every round, so that whatever else the machine does meets all alike; the median over the rounds is shown, and the
ratio of the least to that of the settings' tokens. PostgreSQL is a throwaway one of the system's binaries, on a unix
socket.

The second part lets requests come at a steady rate, with the default settings, and counts the database's queries:
those for tokens, and those that look for revocations.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sqlalchemy import event

from accounts.opening import Accounts, open_accounts
from accounts.settings import AccountsSettings
from accounts.tokens.format import new_token as invented_token
from accounts.tokens.making import NewToken
from app.auth import TokenCheck, identify
from app.errors import Unauthorized
from app.services import Services
from tests.accounts.people import new_account, new_token
from tests.support.servers import postgres_binaries, running_postgres

SECRET = "a-secret-key-for-the-benchmark-of-tokens"
STATIC = "a-static-token-for-the-benchmark"


@dataclass(frozen=True)
class Rules:
    """The one setting that a check looks at."""

    retry_after_seconds: int = 2


@dataclass(frozen=True)
class Door:
    """As much of the gateway's services as a check needs."""

    accounts: Accounts | None
    token_check: TokenCheck
    settings: Rules

    async def let_in(self, token: str) -> bool:
        """Check a token as the gateway does."""
        try:
            await identify(cast("Services", self), token)
        except Unauthorized:
            return False
        return True


@asynccontextmanager
async def open_door(url: str) -> AsyncIterator[Door]:
    """A door with accounts, and five tokens of the settings beside them."""
    settings = AccountsSettings.model_validate({"secret_key": SECRET, "database_url": url})
    statics = TokenCheck([STATIC, *(f"another-static-token-{number}" for number in range(4))])
    async with open_accounts(settings) as accounts:
        yield Door(accounts, statics, Rules())


async def microseconds(check: Callable[[], Awaitable[object]], times: int) -> float:
    """The mean of some calls in a row."""
    started = time.perf_counter()
    for _ in range(times):
        await check()
    return (time.perf_counter() - started) / times * 1e6


async def compare(doors: dict[str, Door], rounds: int) -> None:
    """Measure every check in turn, and print the medians."""
    some = next(iter(doors.values()))
    plain = Door(None, some.token_check, Rules())
    damaged = invented_token()[:-1] + "0"
    checks: dict[str, tuple[Callable[[], Awaitable[object]], int]] = {
        "token of the settings, no accounts": (lambda: plain.let_in(STATIC), 500),
        "token of the settings, beside accounts": (lambda: some.let_in(STATIC), 500),
        "damaged token of an account, refused": (lambda: some.let_in(damaged), 500),
    }
    for name, door in doors.items():
        assert door.accounts is not None
        new = await new_token(door.accounts.database, keys=door.accounts.keys)

        checks.update(_of_account(name, door, door.accounts, new))
    taken: dict[str, list[float]] = {name: [] for name in checks}
    for _ in range(rounds):
        for name, (check, times) in checks.items():
            await check()
            taken[name].append(await microseconds(check, times))
    base = min(taken["token of the settings, no accounts"])
    print(f"{'microseconds a request':55} {'median':>8} {'least':>8} {'ratio':>7}")
    for name, values in taken.items():
        print(f"{name:55} {statistics.median(values):8.1f} {min(values):8.1f} {min(values) / base:7.1f}")


def _of_account(
    name: str, door: Door, accounts: Accounts, new: NewToken
) -> dict[str, tuple[Callable[[], Awaitable[object]], int]]:
    async def uncached() -> None:
        accounts.lookup.forget(new.row.id)
        await door.let_in(new.secret)

    return {
        f"token of an account, remembered, {name}": (lambda: door.let_in(new.secret), 500),
        f"token of an account, asked for in {name}": (uncached, 20),
    }


def statements_of(accounts: Accounts) -> Callable[[], int]:
    """Count every statement that is sent to the database from now on, BEGIN and the like aside."""
    number = 0

    def one_more(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal number
        number += not statement.startswith("BEGIN")

    event.listen(accounts.database.engine.sync_engine, "before_cursor_execute", one_more)
    return lambda: number


async def count_queries(
    door: Door, sent: Callable[[], int], *, tokens: int, rate: float, seconds: float
) -> None:
    """Let requests come at a steady rate, one token after the other, and print how often the database was asked."""
    accounts = door.accounts
    assert accounts is not None
    made = []
    for number in range(tokens):
        if number % 50 == 0:
            account = await new_account(accounts.database)
        made.append((await new_token(accounts.database, account, keys=accounts.keys)).secret)
    before, asked, waits = sent(), 0, []
    started = time.perf_counter()
    for number, token in enumerate(itertools.cycle(made)):
        due = started + number / rate
        if due - started > seconds:
            break
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        begun = time.perf_counter()
        assert await door.let_in(token)
        waits.append(time.perf_counter() - begun)
        asked += 1
    queries = sent() - before
    waits.sort()
    print(
        f"{tokens:4} tokens, {rate:.0f} requests a second, {seconds:.0f} s: {asked} requests, {queries} queries, "
        f"{queries / asked * 1000:.1f} per thousand; a check took {waits[asked // 2] * 1e6:.0f} µs in the median, "
        f"{waits[int(asked * 0.99)] * 1e6:.0f} µs in the 99th percentile"
    )


async def main(rounds: int, seconds: float) -> None:
    """Measure on both databases where PostgreSQL is there."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        doors = {
            "SQLite": await stack.enter_async_context(open_door(f"sqlite:///{Path(folder) / 'a.sqlite3'}"))
        }
        binaries = postgres_binaries()
        if binaries is None:
            print("No PostgreSQL on this machine: measured on SQLite only.")
        else:
            server = stack.enter_context(running_postgres(*binaries))
            doors["PostgreSQL"] = await stack.enter_async_context(open_door(server.url))
        await compare(doors, rounds)
        for name, door in doors.items():
            print(f"\nQueries, {name}, with the default settings:")
            assert door.accounts is not None
            sent = statements_of(door.accounts)
            await count_queries(door, sent, tokens=1, rate=200, seconds=seconds)
            await count_queries(door, sent, tokens=100, rate=200, seconds=seconds)


if __name__ == "__main__":
    words = argparse.ArgumentParser(prog="python -m benchmarks.token_check", description=__doc__)
    words.add_argument("--rounds", type=int, default=40)
    words.add_argument("--seconds", type=float, default=60.0, help="for each count of queries")
    given = words.parse_args()
    asyncio.run(main(given.rounds, given.seconds))
