"""Redis away, slow, back, emptied, or a cluster."""

import asyncio
import logging
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts.limits import (
    Decision,
    LimitsUnavailable,
    MemoryLimiter,
    Places,
    Quota,
    Rate,
    Rule,
    open_limiter,
)
from accounts.limits.failover import FailoverLimiter
from accounts.limits.shared import RedisLimiter
from tests.support.processes import free_port

QUOTA = Quota("images", quota=3, seconds=86_400)
ALL: Sequence[Rule] = (
    Rate("requests", amount=1, seconds=86_400, burst=100),
    QUOTA,
    Places("concurrent", quota=100, lease_seconds=60),
)


class Fragile(MemoryLimiter):
    """A limiter that fails while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.asked = 0

    async def hit(
        self, subject: str, rules: Sequence[Rule], costs: Mapping[str, int] | None = None
    ) -> Decision:
        self.asked += 1
        await asyncio.sleep(0)
        if self.broken:
            raise RedisConnectionError("gone")
        return await super().hit(subject, rules, costs or {})


@pytest.fixture
async def fragile() -> Fragile:
    return Fragile()


async def until_back(limiter: FailoverLimiter) -> None:
    async with asyncio.timeout(20):
        while limiter.away:
            await asyncio.sleep(0.005)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


async def test_open_counts_alone_and_logs_an_outage_once(
    fragile: Fragile, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[bool] = []
    limiter = FailoverLimiter(fragile, "open", probe_seconds=0.01, on_change=told.append)
    for outage in (1, 2):
        fragile.broken = True
        # All that were on their way when it began, and those that come after.
        together = await asyncio.gather(*(limiter.hit("a", [QUOTA]) for _ in range(10)))
        alone = [await limiter.hit("a", [QUOTA]) for _ in range(5)]
        assert sum(decision.allowed for decision in [*together, *alone]) == 3
        assert len(warnings(caplog)) == 2 * outage - 1
        assert "every replica counts for itself" in warnings(caplog)[-1]
        fragile.broken = False
        await until_back(limiter)
        assert len(warnings(caplog)) == 2 * outage
        assert warnings(caplog)[-1] == "Redis counts limits again"
        assert told == [True, False] * outage
    # The shared count is as it was before.
    assert [(await limiter.hit("a", [QUOTA])).allowed for _ in range(4)] == [True, True, True, False]
    await limiter.close()


async def test_closed_lets_nobody_pass_and_asks_redis_only_by_its_probe(fragile: Fragile) -> None:
    limiter = FailoverLimiter(fragile, "closed", probe_seconds=60)
    fragile.broken = True
    for _ in range(20):
        with pytest.raises(LimitsUnavailable):
            await limiter.hit("a", [QUOTA])
    assert fragile.asked == 1
    await limiter.close()


async def test_what_was_counted_alone_is_given_back_alone(fragile: Fragile) -> None:
    limiter = FailoverLimiter(fragile, "open", probe_seconds=0.01)
    shared = await limiter.hit("a", ALL)
    fragile.broken = True
    alone = [await limiter.hit("a", ALL) for _ in range(3)]
    assert not (await limiter.hit("a", ALL)).allowed
    await limiter.release(alone[0], {"images": 1})
    assert (await limiter.hit("a", ALL)).allowed
    # Cannot be given back just now, and harms nobody.
    await limiter.release(shared, {"images": 1})
    fragile.broken = False
    await until_back(limiter)
    await limiter.release(alone[1], {"images": 1})
    await limiter.close()


@contextmanager
def own_redis(port: int, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis that the test may stop, on a port of its own."""
    binary = shutil.which("redis-server")
    assert binary is not None
    command = [
        binary,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        *arguments,
    ]
    with (folder / "redis.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        with closing(redis.Redis(port=port)) as client:
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert process.poll() is None, (folder / "redis.log").read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def redis_binary(redis_url: str) -> None:
    """For tests that stop a Redis of their own: left out, or failing, like all others that need one."""
    if shutil.which("redis-server") is None:
        pytest.skip(f"only {redis_url} is there, and it is not the test's to stop")


@pytest.mark.usefixtures("redis_binary")
async def test_a_redis_that_dies_and_comes_back_empty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    async with open_limiter(f"redis://127.0.0.1:{port}", timeout_seconds=5, probe_seconds=0.02) as limiter:
        assert isinstance(limiter, FailoverLimiter)
        with own_redis(port, tmp_path):
            decisions = [await limiter.hit("a", ALL) for _ in range(4)]
            assert [decision.made_by for decision in decisions] == ["redis"] * 4
            assert [decision.allowed for decision in decisions] == [True, True, True, False]
        alone = await limiter.hit("a", ALL)
        assert (alone.allowed, alone.made_by, limiter.away) == (True, "memory", True)
        with own_redis(port, tmp_path):
            await until_back(limiter)
            # It knows neither the counts nor the scripts any more.
            again = await limiter.hit("a", ALL)
            assert (again.allowed, again.made_by) == (True, "redis")
            await limiter.release(again, {"images": 1})
    assert len(warnings(caplog)) == 2


@pytest.mark.usefixtures("redis_binary")
async def test_a_redis_that_hangs_costs_one_timeout(tmp_path: Path) -> None:
    port = free_port()
    with own_redis(port, tmp_path) as process:
        async with open_limiter(
            f"redis://127.0.0.1:{port}", timeout_seconds=0.3, probe_seconds=0.05
        ) as limiter:
            async with asyncio.timeout(20):
                while (await limiter.hit("a", [QUOTA], {"images": 0})).made_by != "redis":
                    await asyncio.sleep(0.01)
            process.send_signal(19)  # SIGSTOP: connections stay, and nobody answers
            started = time.monotonic()
            for _ in range(200):
                await limiter.hit("b", ALL)
            assert time.monotonic() - started < 3


async def test_an_address_where_nobody_is(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{nobody.getsockname()[1]}"
        async with open_limiter(url, probe_seconds=60) as limiter:
            assert (await limiter.hit("a", ALL)).allowed
    assert len(warnings(caplog)) == 1


async def test_scripts_that_the_server_has_forgotten_are_sent_again(redis_url: str) -> None:
    limiter = RedisLimiter(redis_url, timeout=10)
    await limiter.hit("a", ALL)
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.script_flush()
    second = await limiter.hit("a", ALL)
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.script_flush()
    await limiter.release(second)
    assert (await limiter.hit("a", ALL)).standings[2].remaining == 98
    await limiter.close()


async def test_nothing_stays_in_redis_beyond_its_use(redis_url: str) -> None:
    limiter = RedisLimiter(redis_url, timeout=10)
    await limiter.hit("a", ALL)
    await limiter.close()
    with closing(redis.Redis.from_url(redis_url)) as client:
        found = {key.decode(): client.pttl(key) for key in client.scan_iter()}
    assert set(found) == {f"sportvision:limit:{{a}}:{rule.name}" for rule in ALL}
    assert all(0 < milliseconds <= 86_400_000 for milliseconds in found.values())


@contextmanager
def own_cluster(port: int, folder: Path) -> Iterator[None]:
    """A cluster of one node, which refuses what lies in several slots as any other does."""
    # The port among nodes would be 10,000 higher, which there need not be.
    arguments = "--cluster-enabled", "yes", "--cluster-port", str(free_port())
    with own_redis(port, folder, *arguments), closing(redis.Redis(port=port)) as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)  # type: ignore[no-untyped-call]
        deadline = time.monotonic() + 30
        while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":  # type: ignore[no-untyped-call]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield


@pytest.mark.usefixtures("redis_binary")
async def test_a_cluster_takes_the_scripts(tmp_path: Path) -> None:
    port = free_port()
    with own_cluster(port, tmp_path):
        limiter = RedisLimiter(f"redis://127.0.0.1:{port}", timeout=10)
        decision = await limiter.hit("a", ALL)
        await limiter.release(decision, {"images": 1})
        assert (await limiter.hit("a", ALL)).standings[1].remaining == 2
        await limiter.close()


@pytest.fixture
async def two_replicas(redis_url: str) -> AsyncIterator[tuple[RedisLimiter, RedisLimiter]]:
    first, second = RedisLimiter(redis_url, timeout=20), RedisLimiter(redis_url, timeout=20)
    yield first, second
    await first.close()
    await second.close()


@pytest.mark.parametrize(
    "rule",
    [
        Rate("requests", amount=1, seconds=86_400, burst=100),
        Quota("images", quota=100, seconds=86_400),
        Places("concurrent", quota=100, lease_seconds=600),
    ],
    ids=lambda rule: rule.name,
)
async def test_of_fifty_clients_on_two_replicas_exactly_a_hundred_hits_pass(
    two_replicas: tuple[RedisLimiter, RedisLimiter], rule: Rule
) -> None:
    async def client(number: int) -> int:
        replica = two_replicas[number % 2]
        return sum([(await replica.hit("a", [rule])).allowed for _ in range(5)])

    assert sum(await asyncio.gather(*map(client, range(50)))) == 100
