"""Is this token good? Asked for every request, so the database is asked as seldom as it may be."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from accounts.database import Database, DatabaseAway
from accounts.tables import Account, Token
from accounts.tokens.format import has_our_length, is_well_formed
from accounts.tokens.keys import TokenKeys
from accounts.tokens.known import KnownToken, LookupUnavailable
from accounts.tokens.remembering import Memory

#: While the database is away it is asked again this often, in seconds, whatever the number of requests.
_PROBE_SECONDS: Final = 1.0
#: How long one waits for another answer who has an old one, in seconds.
_PATIENCE_SECONDS: Final = 1.0
#: Questions about tokens that are not remembered: so many are asked at a time, and so many may wait.
_ASKED_AT_ONCE: Final = 3
#: Questions in the background, whose answers nobody waits for, have their own turns.
_REFRESHED_AT_ONCE: Final = 2
_WAITING: Final = 500
#: How often the database is asked for one answer where news of the token come each time.
_ROUNDS: Final = 3

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LookupCounts:
    """How often what was done.

    Attributes:
        asked: Tokens that were asked for.
        malformed: Of them, those refused by their form alone.
        queries: Questions to the database.
        stale: Answers given past their time, because the database was away.
    """

    asked: int = 0
    malformed: int = 0
    queries: int = 0
    stale: int = 0


class TokenLookup:
    """Looks tokens up, and remembers what it saw for a short time.

    An answer is fresh for `fresh_seconds`. In the second half of them it is still given at once, and the database is
    asked meanwhile: a token that is in use does not wait. A revocation takes effect when this process hears of it
    (`forget`; see `accounts.tokens.changes` and `accounts.tokens.news`), and within `fresh_seconds` at the latest.

    While the database is away, tokens that it confirmed within `stale_seconds` go on working, and it is asked again
    once a second in the background; nobody waits for it.
    """

    def __init__(
        self,
        database: Database,
        keys: TokenKeys,
        *,
        fresh_seconds: float,
        stale_seconds: float,
        size: int,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Remember nothing yet.

        Args:
            database: Where tokens are kept.
            keys: How they are digested.
            fresh_seconds: How long an answer counts.
            stale_seconds: How long it counts while the database is away.
            size: How many tokens are remembered.
            clock: Monotonic, in seconds.
            wall_clock: Seconds since the epoch, for expiry.
        """
        self.counts = LookupCounts()
        self._database = database
        self._keys = keys
        self._fresh = fresh_seconds
        self._stale = max(stale_seconds, fresh_seconds)
        self._memory = Memory(size)
        self._clock = clock
        self._wall_clock = wall_clock
        self._asking: dict[bytes, asyncio.Task[KnownToken | None]] = {}
        self._places = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._refresh_places = asyncio.Semaphore(_REFRESHED_AT_ONCE)
        self._away = False
        self._next_probe = 0.0
        #: What was news while the database was asked about each token.
        self._heard: dict[bytes, set[uuid.UUID | None]] = {}

    async def find(self, token: str) -> KnownToken | None:
        """Look a token up.

        Returns:
            What it is good for; None where it is malformed, unknown, revoked or expired, or its account is disabled.

        Raises:
            LookupUnavailable: It is not remembered, and the database is away or too busy.
        """
        self.counts.asked += 1
        if not has_our_length(token):
            self.counts.malformed += 1
            return None
        digest = self._keys.digest(token)
        remembered = self._memory.get(digest)
        if remembered is None:
            # Only here: whoever is remembered has passed it, and it takes longer than all the rest.
            if not is_well_formed(token):
                self.counts.malformed += 1
                return None
        else:
            age = self._clock() - remembered.seen
            if age < self._fresh:
                if age > self._fresh / 2:
                    self._ask_in_background(digest, token)
                return self._good(remembered.token)
            if age < self._stale and self._away:
                self._ask_in_background(digest, token)
                self.counts.stale += 1
                return self._good(remembered.token)
        try:
            # Who has an answer to fall back on does not wait for a database that hangs.
            async with asyncio.timeout(None if remembered is None else _PATIENCE_SECONDS):
                return self._good(await self._ask(digest, token))
        except (LookupUnavailable, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                self._note_away()
            remembered = self._memory.get(digest)
            if remembered is None or self._clock() - remembered.seen >= self._stale:
                raise LookupUnavailable(str(error) or "The database of tokens is away.") from error
            self.counts.stale += 1
            return self._good(remembered.token)

    def forget(self, identity: uuid.UUID | None) -> None:
        """Ask anew about a token, or about all tokens of an account, by its id; with None, about all there are.

        What is remembered of all is kept for a database that is away, but counts as old.
        """
        for heard in self._heard.values():
            heard.add(identity)
        if identity is None:
            for one in self._memory.all_known():
                one.seen = min(one.seen, self._clock() - self._fresh)
        else:
            self._memory.forget_of(identity)

    async def close(self) -> None:
        """Stop what is being asked in the background."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _good(self, token: KnownToken | None) -> KnownToken | None:
        if token is None or not token.usable:
            return None
        if token.expires_at is not None and token.expires_at <= self._wall_clock():
            return None
        return token

    async def _ask(self, digest: bytes, token: str) -> KnownToken | None:
        """Ask the database, together with all who want to know the same."""
        asking = self._asking.get(digest)
        if asking is None:
            if self._away and self._clock() < self._next_probe:
                raise LookupUnavailable("The database of tokens is away.")
            if len(self._asking) >= _WAITING:
                raise LookupUnavailable("Too many tokens are being looked up.")
            asking = self._start(digest, token, self._places)
        # Whoever goes away must not take the answer from the others.
        return await asyncio.shield(asking)

    def _ask_in_background(self, digest: bytes, token: str) -> None:
        if digest in self._asking or (self._away and self._clock() < self._next_probe):
            return
        self._start(digest, token, self._refresh_places)

    def _start(self, digest: bytes, token: str, places: asyncio.Semaphore) -> asyncio.Task[KnownToken | None]:
        probing = self._away
        if probing:
            self._next_probe = self._clock() + _PROBE_SECONDS
        asking = self._query(digest, token, places, probing=probing)
        task = asyncio.create_task(asking, name="look a token up")
        self._asking[digest] = task
        task.add_done_callback(lambda done: self._ended(digest, done))
        return task

    def _ended(self, digest: bytes, task: asyncio.Task[KnownToken | None]) -> None:
        del self._asking[digest]
        if not task.cancelled():
            # Seen here, so that a question in the background may fail without a word.
            task.exception()

    async def _query(
        self, digest: bytes, token: str, places: asyncio.Semaphore, *, probing: bool
    ) -> KnownToken | None:
        async with places:
            # It may have gone away while this one waited for its turn; one question at a time is enough then.
            if self._away and not probing:
                raise LookupUnavailable("The database of tokens is away.")
            for _ in range(_ROUNDS):
                seen = self._clock()
                found, heard = await self._read_and_hear(digest, token)
                # What was revoked meanwhile may not be seen in this answer yet.
                if heard.isdisjoint({None} if found is None else {None, found.token_id, found.account_id}):
                    self._memory.put(digest, found, seen)
                    break
            return found

    async def _read_and_hear(
        self, digest: bytes, token: str
    ) -> tuple[KnownToken | None, set[uuid.UUID | None]]:
        """Ask the database; gives its answer, and what was news while it was asked.

        Raises:
            LookupUnavailable: It did not answer, or with an error.
        """
        heard: set[uuid.UUID | None] = set()
        self._heard[digest] = heard
        try:
            found = await self._read(token)
        except (DatabaseAway, SQLAlchemyError) as error:
            # Whatever is wrong with it, it has not said that the token is bad.
            self._note_away(error)
            raise LookupUnavailable("The database of tokens is away.") from error
        finally:
            del self._heard[digest]
        self._note_back()
        return found, heard

    def _note_away(self, error: Exception | None = None) -> None:
        if not self._away:
            self._away = True
            _log.warning(
                "The accounts database is away. Tokens that it confirmed lately go on working for %.0f s, others get "
                "503. It is asked again every second.",
                self._stale,
                # One that answers, but with an error, is for an operator to mend.
                exc_info=error if isinstance(error, SQLAlchemyError) else None,
            )
        self._next_probe = self._clock() + _PROBE_SECONDS

    def _note_back(self) -> None:
        if self._away:
            self._away = False
            _log.info("The accounts database answers again.")

    async def _read(self, token: str) -> KnownToken | None:
        self.counts.queries += 1
        query = (
            select(
                Token.id,
                Token.account_id,
                Token.name,
                Token.scopes,
                Token.plan,
                Account.plan,
                Token.expires_at,
                Token.revoked_at,
                Account.disabled_at,
                Account.confirmed_at,
            )
            .join(Account, Account.id == Token.account_id)
            .where(Token.digest.in_(self._keys.digests(token)))
        )
        async with self._database.read() as session:
            row = (await session.execute(query)).one_or_none()
        if row is None:
            return None
        usable = row.revoked_at is None and row.disabled_at is None and row.confirmed_at is not None
        token_id, account_id, name, scopes, own_plan, account_plan, expires_at = row[:7]
        return KnownToken(
            token_id,
            str(token_id),
            account_id,
            name,
            frozenset(scopes),
            own_plan or account_plan,
            None if expires_at is None else expires_at.timestamp(),
            usable,
        )
