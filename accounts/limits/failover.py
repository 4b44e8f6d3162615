"""What happens to limits while Redis is away."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from redis.exceptions import RedisError

from accounts.limits.limiter import NOTHING, Limiter, LimitsUnavailable, OnFailure
from accounts.limits.memory import MemoryLimiter
from accounts.limits.rules import Decision, Rate, Rule
from accounts.limits.shared import MADE_BY as SHARED

# Harmless, and through the same script as every request: a server that answers PING but refuses writes is not back.
_PROBE_SUBJECT: Final = "probe"
_PROBE: Final[Sequence[Rule]] = (Rate("probe", amount=1_000_000, seconds=1, burst=1_000_000),)

_log = logging.getLogger(__name__)


class FailoverLimiter:
    """Counts together with the other replicas; while that fails, decides alone.

    The first failure ends the asking: until a probe in the background succeeds, no request waits for Redis. The
    outage is logged once when it begins and once when it ends.

    Args:
        shared: Counts for all replicas.
        on_failure: `open` counts in this process's memory meanwhile, so that nobody is refused for the outage, and
            nobody can take more than their limit from each replica. `closed` lets nobody pass.
        probe_seconds: How often it is looked whether Redis is back.
        on_change: Is told when an outage begins (True) and when it ends (False).
    """

    def __init__(
        self,
        shared: Limiter,
        on_failure: OnFailure,
        probe_seconds: float,
        on_change: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._shared = shared
        self._on_failure = on_failure
        self._probe_seconds = probe_seconds
        self._on_change = on_change
        self._alone = MemoryLimiter()
        self._probing: asyncio.Task[None] | None = None

    @property
    def away(self) -> bool:
        """Whether an outage goes on."""
        return self._probing is not None

    async def hit(self, subject: str, rules: Sequence[Rule], costs: Mapping[str, int] = NOTHING) -> Decision:
        """See `Limiter`.

        Raises:
            LimitsUnavailable: Redis is away, and `on_failure` is `closed`.
        """
        if not self.away:
            try:
                return await self._shared.hit(subject, rules, costs)
            except (RedisError, OSError) as error:
                self._outage_begins(error)
        if self._on_failure == "closed":
            raise LimitsUnavailable("Redis, which keeps the limits, is away")
        return await self._alone.hit(subject, rules, costs)

    async def release(self, decision: Decision, refunds: Mapping[str, int] = NOTHING) -> None:
        """See `Limiter`."""
        if decision.made_by != SHARED:
            await self._alone.release(decision, refunds)
        elif not self.away:
            try:
                await self._shared.release(decision, refunds)
            except (RedisError, OSError) as error:
                self._outage_begins(error)

    async def close(self) -> None:
        """See `Limiter`."""
        if self._probing is not None:
            self._probing.cancel()
            with suppress(asyncio.CancelledError):
                await self._probing
        await self._shared.close()

    def _outage_begins(self, error: Exception) -> None:
        if self.away:  # others were on their way at the same time
            return
        meanwhile = (
            "until it is back, every replica counts for itself"
            if self._on_failure == "open"
            else "until it is back, limited requests are answered with 503"
        )
        _log.warning("Redis does not count limits (%s: %s); %s", type(error).__name__, error, meanwhile)
        self._on_change(True)
        self._alone = MemoryLimiter()
        self._probing = asyncio.create_task(self._probe(), name="probe Redis for limits")

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(self._probe_seconds)
            try:
                await self._shared.hit(_PROBE_SUBJECT, _PROBE)
            except (RedisError, OSError):
                continue
            _log.warning("Redis counts limits again")
            self._on_change(False)
            self._probing = None
            return
