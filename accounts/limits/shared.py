"""Limits that all replicas count together, in Redis.

One script looks at every rule and takes from all or none (`hit.lua`), in one round trip. Libraries were looked at:
`limits` asks Redis once for each limit, takes from the first although the second refuses, and knows neither a token
bucket nor a limit of concurrent requests.
"""

import math
import uuid
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from accounts.limits.limiter import NOTHING, costs_of
from accounts.limits.rules import (
    MICROSECONDS,
    Decision,
    Places,
    Quota,
    Rate,
    Rule,
    Standing,
    impossible_rules,
)

MADE_BY: Final = "redis"
_PREFIX: Final = "sportvision:limit"
_VALUES_PER_RULE: Final = 5


class RedisLimiter:
    """See `Limiter`. Errors of Redis go to the caller: `FailoverLimiter` handles them.

    Args:
        url: `redis://`, `rediss://` or `unix://`; see redis-py's `from_url`.
        timeout: Seconds for a connection, and for an answer. Nothing is tried twice.
        connections: How many are open at most; those who find none free wait for one within the same time.
    """

    def __init__(self, url: str, *, timeout: float, connections: int = 16) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis.from_pool(pool)
        scripts = files("accounts.limits")
        # By their digests; sent again where the server does not know them (any more).
        self._hit = self._redis.register_script(scripts.joinpath("hit.lua").read_text("utf-8"))
        self._release = self._redis.register_script(scripts.joinpath("release.lua").read_text("utf-8"))

    async def hit(self, subject: str, rules: Sequence[Rule], costs: Mapping[str, int] = NOTHING) -> Decision:
        """See `Limiter`.

        Raises:
            redis.exceptions.RedisError: It is away, slow or unwilling.
        """
        amounts = costs_of(rules, costs)
        lease = uuid.uuid4().hex
        arguments: list[str | int] = [lease]
        for rule, cost in zip(rules, amounts, strict=True):
            arguments += _described(rule, cost)
        values = await self._hit([_key(subject, rule) for rule in rules], arguments)
        standings = tuple(
            _standing(rule, values[_VALUES_PER_RULE * place :]) for place, rule in enumerate(rules)
        )
        return Decision(subject, standings, lease, MADE_BY, impossible_rules(rules, amounts))

    async def release(self, decision: Decision, refunds: Mapping[str, int] = NOTHING) -> None:
        """See `Limiter`; without anything to give back, Redis is not asked.

        Raises:
            redis.exceptions.RedisError: It is away, slow or unwilling.
        """
        keys: list[str] = []
        arguments: list[str | int] = [decision.lease]
        for standing in decision.standings:
            refund = refunds.get(standing.rule.name, 0)
            if isinstance(standing.rule, Places):
                arguments += ["places", 0]
            elif isinstance(standing.rule, Quota) and refund:
                arguments += [standing.window, refund]
            else:
                continue
            keys.append(_key(decision.subject, standing.rule))
        if keys:
            await self._release(keys, arguments)

    async def close(self) -> None:
        """See `Limiter`."""
        await self._redis.aclose()
        await self._redis.connection_pool.aclose()


def _key(subject: str, rule: Rule) -> str:
    return f"{_PREFIX}:{{{subject}}}:{rule.name}"


def _described(rule: Rule, cost: int) -> tuple[str, int, int, int]:
    match rule:
        case Rate():
            return "rate", rule.interval, rule.burst, cost
        case Quota():
            return "quota", rule.seconds * MICROSECONDS, rule.quota, cost
        case Places():
            return "places", math.ceil(rule.lease_seconds * MICROSECONDS), rule.quota, min(cost, 1)


def _standing(rule: Rule, values: Sequence[int]) -> Standing:
    passed, remaining, reset, wait, window = values[:_VALUES_PER_RULE]
    return Standing(
        rule=rule,
        passed=bool(passed),
        remaining=remaining,
        reset=reset / MICROSECONDS,
        wait=wait / MICROSECONDS,
        window=window,
    )
