"""News of revoked tokens and disabled accounts, so that all who remember them forget.

They make a change known at once; a replica that misses one still sees it when what it remembers grows old.
"""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

#: What is called with the id of a token or an account, or with None where any may have changed.
Listener = Callable[[uuid.UUID | None], None]


class News:
    """News within this process."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call this one with all news from now on."""
        self._listeners.append(listener)

    async def tell(self, identity: uuid.UUID) -> None:
        """Tell that a token, or an account with all its tokens, is not what it was.

        To be called once the change is committed; before that, others would read what was before once more.
        """
        self.heard(identity)

    def heard(self, identity: uuid.UUID | None) -> None:
        """Hand on what was heard to all who listen in this process."""
        for listener in self._listeners:
            listener(identity)


@asynccontextmanager
async def open_news(redis_url: str | None) -> AsyncIterator[News]:
    """News of all replicas by Redis, or of this process alone.

    Args:
        redis_url: `redis://`, `rediss://` or `unix://`; None for this process alone.
    """
    if redis_url is None:
        yield News()
        return
    # Only here, for its client is large.
    from accounts.tokens.shared_news import open_shared_news

    async with open_shared_news(redis_url) as news:
        yield news
