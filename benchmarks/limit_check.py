"""What limits cost a request: microseconds of a check, and the gateway with limits and without in one run.

    python -m benchmarks.limit_check

First the check by itself: all three limits taken, and given back, in memory and in a Redis on this machine over its
unix socket. Figures are of CPU time, the best of several repeats, which a busy machine distorts little; what Redis
takes for a script is what it tells of itself.

Then gateways of their own in front of the tests' fake model server, which answers at once: without limits, with
limits in memory, and with limits in Redis. One request at a time goes to each in turn, so that whatever else the
machine does meets all alike; CPU time is the gateway's own, as the scheduler counts it, without what Redis takes.

Redis is the one that SPORTVISION_TEST_REDIS_URL names, which is emptied, else a throwaway one.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import redis
from starlette.datastructures import MutableHeaders

from accounts.limits import Limiter, open_limiter
from accounts.plans import load_plans
from app.auth import Caller
from app.limits.passing import Limits
from app.metrics.recorder import Recorder
from benchmarks.metrics_cost import Side, report, running
from tests.support.databases import REDIS_URL
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import MODEL, PREDICT
from tests.support.pictures import encoded, quadrants
from tests.support.servers import running_redis

CHECKS = 2000
REPEATS = 7
ROUNDS = 15
REQUESTS = 40

# So much that nothing is refused; what is measured is the counting.
PLAN = """
default = "measured"
[plans.measured]
requests_per_minute = 60_000_000
burst = 1_000_000
images_per_day = 1_000_000_000
concurrent_requests = 100_000
[plans.unlimited]
"""


@contextlib.contextmanager
def a_redis() -> Iterator[str]:
    """Give the URL of a Redis."""
    given, binary = os.environ.get(REDIS_URL), shutil.which("redis-server")
    if given is None and binary is None:
        sys.exit(f"no redis-server is installed; name one by {REDIS_URL}")
    with contextlib.nullcontext(given) if given else running_redis(str(binary)) as url:
        yield str(url)


async def microseconds(check: Callable[[int], Awaitable[None]]) -> float:
    """Run a check many times; gives the best repeat's mean of CPU time."""
    means = []
    for _ in range(REPEATS):
        started = time.process_time()
        for turn in range(CHECKS):
            await check(turn)
        means.append((time.process_time() - started) / CHECKS)
    return min(means) * 1e6


async def checks(redis_url: str, plans: Path) -> None:
    """Print what a check takes by itself."""
    rules = load_plans(plans).plans["measured"].rules(lease_seconds=60)
    print(f"{'a check by itself':44} {'CPU':>9}")
    for name, url in (("in memory", None), ("in Redis", redis_url)):
        async with open_limiter(url, timeout_seconds=5) as limiter:

            async def hit(number: int, limiter: Limiter = limiter) -> None:
                await limiter.hit(f"token-{number % 100}", rules, {"concurrent": 0})

            async def hit_and_release(number: int, limiter: Limiter = limiter) -> None:
                await limiter.release(await limiter.hit(f"token-{number % 100}", rules))

            limits = Limits(
                limiter,
                load_plans(plans),
                static_plan="measured",
                lease_seconds=60,
                retry_after=1,
                recorder=Recorder(),
                ledger=None,
            )

            async def whole(number: int, limits: Limits = limits) -> None:
                caller = Caller(f"static:{number % 100}", frozenset())
                async with limits.passage(caller, MutableHeaders()) as passage:
                    passage.answered()

            for what, check in (
                ("taken", hit),
                ("taken and given back", hit_and_release),
                ("a whole passage, headers and all", whole),
            ):
                print(f"{name + ', ' + what:44} {await microseconds(check):6.1f} µs")
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        scripts = client.info("commandstats")["cmdstat_evalsha"]
        print(f"{'Redis itself, a script':44} {scripts['usec_per_call']:6.1f} µs")


async def gateways(redis_url: str, plans: Path, folder: Path) -> None:
    """Print what a request takes at gateways with limits and without."""
    common = {"SPORTVISION_PLANS_FILE": str(plans), "SPORTVISION_LOG_LEVEL": "warning"}
    measured = {**common, "SPORTVISION_STATIC_TOKENS_PLAN": "measured"}
    settings = {
        "no limits": {**common, "SPORTVISION_STATIC_TOKENS_PLAN": "unlimited"},
        "limits in memory": measured,
        "limits in Redis": {**measured, "SPORTVISION_REDIS_URL": redis_url},
    }
    picture = encoded(quadrants(640, 480), quality=85)
    async with FakeBackend() as backend, contextlib.AsyncExitStack() as stack:
        backend.add_version(MODEL, 1, height=224, width=224)
        sides: dict[str, Side] = {
            name: await stack.enter_async_context(
                running(changes, backend.target, folder / f"{name}.log".replace(" ", "-"))
            )
            for name, changes in settings.items()
        }
        names = list(sides)
        for number in range(ROUNDS + 1):
            # Each goes first as often as the others.
            for name in names[number % len(names) :] + names[: number % len(names)]:
                await sides[name].ask("POST", PREDICT, picture)
            if number == 0:
                # The first round only warms up.
                for side in sides.values():
                    side.cpu.clear()
                    side.waited.clear()
        report(f"picture of {len(picture) / 1000:.0f} kB", sides)
        extra = {
            name: statistics.median(
                mine - base for mine, base in zip(side.waited, sides["no limits"].waited, strict=True)
            )
            for name, side in sides.items()
        }
        for name in names[1:]:
            print(f"{name}: {extra[name] * 1e6:+.0f} µs of waiting a request")


async def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(prog="python -m benchmarks.limit_check", description=__doc__).parse_args()
    with a_redis() as redis_url, tempfile.TemporaryDirectory() as folder:
        plans = Path(folder) / "plans.toml"
        plans.write_text(PLAN, "utf-8")
        await checks(redis_url, plans)
        await gateways(redis_url, plans, Path(folder))
    print(f"{ROUNDS} rounds of {REQUESTS} requests, one at a time", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main())
