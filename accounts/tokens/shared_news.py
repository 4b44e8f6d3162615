"""News of revocations between processes that share a Redis."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from accounts.tokens.news import News

_CHANNEL: Final = "sportvision:tokens"
#: How long a connection may be silent before it is asked for a sign of life, and then before it counts as dead.
_SILENCE_SECONDS: Final = 5.0
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 5.0
_TIMEOUT_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


class SharedNews(News):
    """News of all processes that share a Redis, by its publish and subscribe.

    Redis keeps no messages. So whenever the subscription had to be made anew, anything may have happened meanwhile,
    and listeners hear that.
    """

    def __init__(self, redis: Redis) -> None:
        """Nothing is connected yet.

        Args:
            redis: Made by `open_shared_news`.
        """
        super().__init__()
        self._redis = redis
        self.subscribed = asyncio.Event()

    async def tell(self, identity: uuid.UUID) -> None:
        """See `News.tell`. Where Redis is away, the others see the change when what they remember grows old."""
        self.heard(identity)
        try:
            await self._redis.publish(_CHANNEL, identity.bytes)
        except (RedisError, OSError) as error:
            _log.warning(
                "Redis is away, so other replicas do not hear of a revocation at once: %s",
                type(error).__name__,
            )

    async def follow(self) -> None:
        """Listen for ever, and begin again whenever the connection is lost. It is logged once each time."""
        pause = _FIRST_PAUSE_SECONDS
        away = False
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(_CHANNEL)
                    pause = _FIRST_PAUSE_SECONDS
                    async for identity in _messages(pubsub, self.subscribed.set):
                        if away:
                            away = False
                            _log.info("News of revocations come again.")
                        self.heard(identity)
            except (RedisError, OSError, TimeoutError) as error:
                if not away:
                    away = True
                    _log.warning(
                        "No news of revocations, for Redis is away (%s). They take effect as remembered tokens "
                        "grow old.",
                        type(error).__name__,
                    )
            self.subscribed.clear()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


async def _messages(pubsub: PubSub, subscribed: Callable[[], None]) -> AsyncIterator[uuid.UUID | None]:
    asked = False
    while True:
        message = await pubsub.get_message(timeout=_SILENCE_SECONDS)
        if message is None:
            if asked:
                raise RedisConnectionError("Redis is silent")
            # A connection that was cut without a word looks like one on which nothing happens.
            asked = True
            await pubsub.ping()
            continue
        asked = False
        if message["type"] == "subscribe":
            subscribed()
            yield None
        elif message["type"] == "message" and len(message["data"]) == 16:
            yield uuid.UUID(bytes=message["data"])


@asynccontextmanager
async def open_shared_news(redis_url: str) -> AsyncIterator[SharedNews]:
    """Listen in the background until the block ends.

    Args:
        redis_url: `redis://`, `rediss://` or `unix://`.
    """
    redis = Redis.from_url(
        redis_url,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        # A subscription that is mended in silence would hide what was missed.
        retry=Retry(NoBackoff(), 0),
    )
    news = SharedNews(redis)
    following = asyncio.create_task(news.follow(), name="news of revocations")
    try:
        yield news
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await redis.aclose()
