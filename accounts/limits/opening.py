"""The limiter that the settings ask for."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from accounts.limits.limiter import Limiter, OnFailure
from accounts.limits.memory import MemoryLimiter


@asynccontextmanager
async def open_limiter(
    redis_url: str | None,
    *,
    on_failure: OnFailure = "open",
    timeout_seconds: float = 0.25,
    probe_seconds: float = 1.0,
    on_change: Callable[[bool], None] = lambda _: None,
) -> AsyncIterator[Limiter]:
    """Open a limiter, and close it when the block ends.

    Args:
        redis_url: Where replicas count together; None counts in this process only. Nothing is connected before the
            first hit: a gateway starts without Redis.
        on_failure: See `FailoverLimiter`.
        timeout_seconds: What Redis may take, once in an outage.
        probe_seconds: See `FailoverLimiter`.
        on_change: See `FailoverLimiter`.
    """
    limiter: Limiter = MemoryLimiter()
    if redis_url is not None:
        # Here, because whoever has no Redis has no use for its client, which takes memory.
        from accounts.limits.failover import FailoverLimiter
        from accounts.limits.shared import RedisLimiter

        limiter = FailoverLimiter(
            RedisLimiter(redis_url, timeout=timeout_seconds), on_failure, probe_seconds, on_change
        )
    try:
        yield limiter
    finally:
        await limiter.close()
