"""Opening all that accounts need, in the gateway and at the command line."""

import asyncio
import getpass
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from accounts import migrating
from accounts.database import Database, DatabaseAway
from accounts.links import LinkKeys
from accounts.settings import AccountsSettings
from accounts.tokens.changes import Changes
from accounts.tokens.keys import TokenKeys
from accounts.tokens.last_used import LastUsed
from accounts.tokens.lookup import TokenLookup
from accounts.tokens.news import News, open_news

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accounts:
    """What is needed to work with accounts and tokens.

    Attributes:
        database: Where they are kept.
        keys: How tokens are digested.
        link_keys: Make the secrets of links in mails, and the digests of suppressed addresses.
        news: To make changes of tokens and accounts known.
        lookup: Which tokens are good.
        last_used: Notes their use.
    """

    database: Database
    keys: TokenKeys
    link_keys: LinkKeys
    news: News
    lookup: TokenLookup
    last_used: LastUsed


async def prepare_database(settings: AccountsSettings) -> None:
    """Wait for the database, and bring it to the version that is needed, or see that it is there.

    Raises:
        DatabaseAway: It did not come within `database_wait_seconds`.
        accounts.migrating.MigrationError: It is at another version, and may not or cannot be brought to this one.
    """
    url = settings.database_url.get_secret_value()
    deadline = time.monotonic() + settings.database_wait_seconds
    told = False
    while True:
        try:
            if settings.database_migrate:
                await migrating.upgrade(url)
            else:
                patience = settings.database_timeout_seconds
                migrating.require_head(await migrating.status(url, patience=patience))
        except DatabaseAway as error:
            if time.monotonic() >= deadline:
                raise
            if not told:
                told = True
                _log.warning("Waiting for the accounts database. %s", error)
            await asyncio.sleep(0.5)
        else:
            return


@asynccontextmanager
async def open_accounts(settings: AccountsSettings) -> AsyncIterator[Accounts]:
    """Open the database and what goes with it; closed when the block ends.

    Raises:
        DatabaseAway: See `prepare_database`.
        accounts.migrating.MigrationError: See `prepare_database`.
    """
    await prepare_database(settings)
    async with AsyncExitStack() as stack:
        database = Database(
            settings.database_url.get_secret_value(),
            pool_size=settings.database_pool_size,
            timeout=settings.database_timeout_seconds,
        )
        stack.push_async_callback(database.close)
        keys = TokenKeys(settings.secret_key_bytes, settings.previous_secret_key_bytes)
        redis_url = settings.redis_url
        news = await stack.enter_async_context(
            open_news(None if redis_url is None else redis_url.get_secret_value())
        )
        lookup = TokenLookup(
            database,
            keys,
            fresh_seconds=settings.token_cache_seconds,
            stale_seconds=settings.token_stale_seconds,
            size=settings.token_cache_size,
        )
        stack.push_async_callback(lookup.close)
        news.listen(lookup.forget)
        changes = Changes(database, lookup.forget, every_seconds=settings.token_changes_seconds)
        following = asyncio.create_task(changes.follow(), name="follow changes of tokens")
        stack.push_async_callback(_end, following)
        last_used = LastUsed(database, every_seconds=settings.token_last_used_seconds)
        stack.push_async_callback(last_used.write)
        writing = asyncio.create_task(last_used.write_forever(), name="write when tokens were used")
        stack.push_async_callback(_end, writing)
        link_keys = LinkKeys(settings.secret_key_bytes, settings.previous_secret_key_bytes)
        yield Accounts(database, keys, link_keys, news, lookup, last_used)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def operator_name() -> str:
    """The login name of whoever runs this, for the audit log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A user by number only, as in a container.
        return "unknown"
