"""The client in front of two servers: in turn, one killed, one that hangs, a list of names."""

import asyncio
import itertools
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest

from proto_client import (
    BreakerState,
    ChannelSettings,
    DeadlineExceeded,
    ModelServerClient,
    ModelServerError,
    ModelServerUnavailable,
    RetryBudgetSettings,
    RetryPolicy,
)
from proto_client.calling import Caller
from proto_client.calling import Method as CallMethod
from proto_client.link import Link
from proto_client.messages import GetModelStatusRequest, GetModelStatusResponse
from tests.proto_client.clock import Clock
from tests.proto_client.conftest import TIMEOUT, picture
from tests.proto_client.test_observer import Notes
from tests.support.fake_backend import FakeBackend, Method


@pytest.fixture
async def servers() -> AsyncIterator[tuple[FakeBackend, FakeBackend]]:
    """Two, of which each answers with a version of its own under the label `any`."""
    async with FakeBackend() as one, FakeBackend() as two:
        for version, server in enumerate((one, two), start=1):
            server.add_version("sports", version)
            server.labels["sports", "any"] = version
        yield one, two


def both(servers: tuple[FakeBackend, FakeBackend]) -> str:
    return ",".join(server.target for server in servers)


async def predict(client: ModelServerClient, timeout: float = TIMEOUT) -> int:  # noqa: ASYNC109 - as the client has it
    answer = await client.predict({"images": picture()}, model="sports", version_label="any", timeout=timeout)
    return answer.version


async def until_both_are_met(client: ModelServerClient) -> None:
    async with asyncio.timeout(30):
        met: set[int] = set()
        while met != {1, 2}:
            met.add(await predict(client))


async def test_calls_go_to_both_in_turn(servers: tuple[FakeBackend, FakeBackend]) -> None:
    async with ModelServerClient(both(servers), check_signatures=False) as client:
        await until_both_are_met(client)
        answers = [await predict(client) for _ in range(20)]
    assert Counter(answers) == {1: 10, 2: 10}
    assert all(one != two for one, two in itertools.pairwise(answers))


async def test_a_name_is_looked_up_by_grpc(servers: tuple[FakeBackend, FakeBackend]) -> None:
    async with ModelServerClient(f"dns:///localhost:{servers[1].port}", check_signatures=False) as client:
        assert await predict(client) == 2


async def test_one_that_hangs_up_in_the_middle_of_many_calls_fails_none(
    servers: tuple[FakeBackend, FakeBackend],
) -> None:
    one, _two = servers
    notes = Notes()
    async with ModelServerClient(both(servers), observer=notes, check_signatures=False) as client:
        await until_both_are_met(client)
        before = one.calls[Method.PREDICT]
        with one.hold(Method.PREDICT):
            calls = [asyncio.create_task(predict(client)) for _ in range(128)]
            # Half of what a gateway has in flight lies with the server that goes.
            await one.wait_calls(Method.PREDICT, before + 64)
            await one.stop()
            assert set(await asyncio.gather(*calls)) == {2}
        assert len(notes.retried) == 64
        assert client.breaker_state is BreakerState.CLOSED


async def test_one_that_hangs_does_not_eat_the_deadline(servers: tuple[FakeBackend, FakeBackend]) -> None:
    one, _two = servers
    settings = ChannelSettings(retry=RetryPolicy(attempt_timeout=0.3))
    async with ModelServerClient(both(servers), settings=settings, check_signatures=False) as client:
        await until_both_are_met(client)
        before = one.calls[Method.PREDICT]
        with one.hold(Method.PREDICT):
            started = asyncio.get_running_loop().time()
            # Without the other's answer, these would end with their deadline.
            assert set(await asyncio.gather(*(predict(client, 60) for _ in range(2)))) == {2}
            assert asyncio.get_running_loop().time() - started < 20
        # The next attempt may meet the same server: others have taken their turns in between.
        assert 1 <= one.calls[Method.PREDICT] - before <= 3
        assert client.breaker_state is BreakerState.CLOSED


async def test_one_that_hangs_is_left_out_after_a_while(servers: tuple[FakeBackend, FakeBackend]) -> None:
    one, _two = servers
    # So many calls, and so short, that even a slow machine gives up three in half a second.
    settings = ChannelSettings(retry=RetryPolicy(attempts=5, attempt_timeout=0.05))
    async with ModelServerClient(both(servers), settings=settings, check_signatures=False) as client:
        await until_both_are_met(client)
        with one.hold(Method.PREDICT):
            async with asyncio.timeout(30):
                quiet = 0
                while quiet < 10:
                    before = one.calls[Method.PREDICT]
                    await asyncio.gather(*(predict(client, 60) for _ in range(8)))
                    quiet = quiet + 1 if one.calls[Method.PREDICT] == before else 0
        # Eighty calls in a row went to the other alone.
        assert client.breaker_state is BreakerState.CLOSED


async def test_where_all_hang_the_budget_keeps_the_retries_within_bounds(
    servers: tuple[FakeBackend, FakeBackend],
) -> None:
    one, two = servers
    budget = RetryBudgetSettings(share=0, per_second=0, burst=6)
    settings = ChannelSettings(retry=RetryPolicy(attempt_timeout=0.05, budget=budget))
    notes = Notes()
    async with ModelServerClient(
        both(servers), settings=settings, observer=notes, check_signatures=False, clock=Clock()
    ) as client:
        await until_both_are_met(client)
        with one.hold(Method.PREDICT), two.hold(Method.PREDICT):
            ended = await asyncio.gather(*(predict(client, 0.6) for _ in range(20)), return_exceptions=True)
        assert {type(end) for end in ended} == {DeadlineExceeded}
        assert len(notes.retried) == 6
        assert notes.budget[-1] == 0


class SlowBackend(FakeBackend):
    """Answers pictures after a while."""

    seconds = 0.3

    async def before_answer(self, method: Method) -> None:
        if method is Method.PREDICT:
            await asyncio.sleep(self.seconds)


async def test_servers_that_are_all_slow_are_not_asked_twice_for_long() -> None:
    async with SlowBackend() as one, SlowBackend() as two:
        for server in (one, two):
            server.add_version("sports", 1)
            server.labels["sports", "any"] = 1
        # Nothing is answered at a first attempt; what the later ones take is learnt.
        settings = ChannelSettings(retry=RetryPolicy(attempt_timeout=0.05))
        notes = Notes()
        async with ModelServerClient(
            both((one, two)), settings=settings, observer=notes, check_signatures=False
        ) as client:
            await predict(client)
            assert notes.retried
            notes.retried.clear()
            for _ in range(4):
                await predict(client)
    assert not notes.retried


async def test_a_name_by_itself_is_one_server_and_what_is_slow_is_waited_for() -> None:
    async with SlowBackend() as backend:
        backend.add_version("sports", 1)
        backend.labels["sports", "any"] = 1
        settings = ChannelSettings(retry=RetryPolicy(attempt_timeout=0.05))
        target = f"localhost:{backend.port}"
        async with ModelServerClient(target, settings=settings, check_signatures=False) as client:
            await predict(client)
        assert backend.calls[Method.PREDICT] == 1


async def test_a_list_of_names_is_looked_up_anew_and_calls_go_on(
    servers: tuple[FakeBackend, FakeBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = servers
    known = {"one.test": "127.0.0.1"}

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[host], port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    clock = Clock()
    target = f"one.test:{one.port},two.test:{two.port}"
    async with ModelServerClient(target, check_signatures=False, clock=clock) as client:
        assert {await predict(client) for _ in range(4)} == {1}
        known["two.test"] = "127.0.0.1"
        assert {await predict(client) for _ in range(4)} == {1}
        clock.turn(10)
        await until_both_are_met(client)
        # What is lost from DNS for a while is used on.
        known.clear()
        clock.turn(10)
        await until_both_are_met(client)


async def test_names_that_cannot_be_looked_up_are_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with ModelServerClient("one.test:1,two.test:2", check_signatures=False) as client:
        with pytest.raises(ModelServerUnavailable, match=r"None of the names in one\.test:1,two\.test:2"):
            await predict(client)


@pytest.fixture
async def slow_names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[threading.Event]:
    """All names are here; but nobody is told before this is set. It is set before the loop waits for its threads."""
    told = threading.Event()

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        told.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield told
    told.set()


async def test_names_are_waited_for_until_the_deadline_and_found_for_the_next_call(
    servers: tuple[FakeBackend, FakeBackend], slow_names: threading.Event
) -> None:
    one, two = servers
    client = ModelServerClient(f"one.test:{one.port},two.test:{two.port}")
    async with client, asyncio.timeout(30):
        for _ in range(2):
            with pytest.raises(DeadlineExceeded, match=r"The names in one\.test:\d+,two\.test:\d+ were not"):
                await client.model_status("sports", timeout=0.1)
        slow_names.set()
        assert await client.model_status("sports", timeout=TIMEOUT)
        assert await predict(client) in {1, 2}


async def test_closing_ends_calls_that_wait_for_names(slow_names: threading.Event) -> None:
    client = ModelServerClient("one.test:1,two.test:2")
    calling = asyncio.ensure_future(client.model_status("sports", timeout=TIMEOUT))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(ModelServerError, match="The client is closed") as caught:
        await calling
    assert caught.value.code is grpc.StatusCode.CANCELLED
    with pytest.raises(ModelServerError, match="The client is closed"):
        await client.model_status("sports", timeout=TIMEOUT)


async def test_the_time_that_names_take_is_not_given_to_the_call_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("proto_client.calling.time", SimpleNamespace(monotonic=clock, perf_counter=clock))
    given: list[float] = []

    class SlowLink:
        async def ready(self, seconds: float) -> None:
            clock.turn(seconds / 4)

        def invoke(self, _: str) -> Any:
            return self.answer

        async def answer(self, _: bytes, *, timeout: float, metadata: Any) -> bytes:  # noqa: ASYNC109 - as gRPC has it
            given.append(timeout)
            return b""

    caller = Caller(
        "two names",
        cast("Link", SlowLink()),
        several=False,
        settings=ChannelSettings(),
        observer=None,
        call_metadata=None,
        clock=clock,
    )
    request = GetModelStatusRequest()
    await caller.call(CallMethod("/a/b"), request, GetModelStatusResponse, model="sports", seconds=8)
    assert given == [6]


async def test_names_that_cannot_be_are_unavailable() -> None:
    # Python's own words about them are no OSError.
    async with ModelServerClient("a..b:1,c..d:2") as client:
        with pytest.raises(ModelServerUnavailable, match=r"None of the names in a\.\.b:1,c\.\.d:2"):
            await client.model_status("sports", timeout=TIMEOUT)
