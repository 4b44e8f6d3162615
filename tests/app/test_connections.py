"""The bound on open connections, who makes room for whom, and the bound on a request's head."""

import asyncio
import json
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import uvicorn
from uvicorn.server import ServerState

from app.connections import MOST_HEAD_BYTES, BoundedProtocol, Connections
from app.metrics.recorder import ConnectionEnd, Recorder
from tests.support.processes import ROOT


class Counting(Recorder):
    def __init__(self) -> None:
        self.open = 0
        self.ends: Counter[ConnectionEnd] = Counter()

    def connections_changed(self, change: int) -> None:
        self.open += change

    def connection_ended(self, reason: ConnectionEnd) -> None:
        self.ends[reason] += 1


class Connection:
    """As much of a connection as is asked of it."""

    def __init__(self) -> None:
        self.aborted = False

    @property
    def transport(self) -> "Connection":
        return self

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def recorder() -> Counting:
    return Counting()


@pytest.fixture
def bound(recorder: Counting) -> Connections:
    return Connections(limit=3, head_seconds=1, recorder=recorder)


def opened(bound: Connections) -> BoundedProtocol:
    made = cast("BoundedProtocol", Connection())
    assert bound.opened(made)
    return made


def aborted(connection: BoundedProtocol) -> bool:
    return cast("Connection", connection).aborted


def test_who_has_never_asked_makes_room_before_who_has(bound: Connections, recorder: Counting) -> None:
    asked, silent, also_silent = (opened(bound) for _ in range(3))
    bound.busy(asked)
    bound.idle(asked)
    opened(bound)
    assert (aborted(asked), aborted(silent), aborted(also_silent)) == (False, True, False)
    opened(bound)
    assert (aborted(asked), aborted(also_silent)) == (False, True)
    assert recorder.ends == {"made_room": 2}
    assert recorder.open == 3


def test_of_those_who_have_asked_the_one_idle_for_longest_makes_room(bound: Connections) -> None:
    first, second, third = (opened(bound) for _ in range(3))
    for connection in (first, second, third, first):
        bound.busy(connection)
        bound.idle(connection)
    opened(bound)
    assert (aborted(first), aborted(second), aborted(third)) == (False, True, False)


def test_a_request_in_flight_is_never_cut_off(bound: Connections, recorder: Counting) -> None:
    busy = [opened(bound) for _ in range(3)]
    for connection in busy:
        bound.busy(connection)
    assert not bound.opened(cast("BoundedProtocol", Connection()))
    assert not any(map(aborted, busy))
    assert recorder.ends == {"refused": 1}
    bound.idle(busy[0])
    opened(bound)
    assert aborted(busy[0])


def test_what_is_closed_is_gone_and_does_not_come_back(bound: Connections, recorder: Counting) -> None:
    one = opened(bound)
    bound.busy(one)
    bound.closed(one)
    bound.closed(one)
    bound.idle(one)
    assert recorder.open == 0
    for _ in range(3):
        opened(bound)
    assert not aborted(one)


class Recorded(asyncio.Transport):
    """A transport that keeps what is written, and ends at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False
        self.was_aborted = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.was_aborted = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def echo(_: Any, receive: Any, send: Any) -> None:
    """Answers how long the body is."""
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    content = str(length).encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def protocol(bound: Connections) -> BoundedProtocol:
    config = uvicorn.Config(echo, log_config=None, lifespan="off")
    return BoundedProtocol(config, ServerState(), {"services": SimpleNamespace(connections=bound)})


@pytest.fixture
async def connected(bound: Connections) -> AsyncIterator[tuple[BoundedProtocol, Recorded]]:
    made, transport = protocol(bound), Recorded()
    made.connection_made(transport)
    yield made, transport
    made.connection_lost(None)


GET = b"GET / HTTP/1.1\r\nhost: x\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\n"


def header(size: int) -> bytes:
    """A header line of so many bytes with its line break."""
    return b"a: " + b"b" * (size - 5) + b"\r\n"


async def answered(transport: Recorded, times: int = 1) -> None:
    async with asyncio.timeout(20):
        while transport.written.count(b"HTTP/1.1 ") < times:
            await asyncio.sleep(0)


def assert_refused(transport: Recorded, recorder: Counting) -> None:
    head, _, body = transport.written.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    assert status == "HTTP/1.1 431 Request Header Fields Too Large"
    assert {"connection: close", "content-type: application/problem+json"} <= set(fields)
    assert f"content-length: {len(body)}" in fields
    problem = json.loads(body)
    assert (problem["type"], problem["status"]) == ("urn:sportvision:problem:head-too-large", 431)
    assert "65,536 bytes" in problem["detail"]
    assert recorder.ends == {"large_head": 1}


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (GET + b"a: ", b"b" * 1000),
        (GET, b"b" * 1000),
        (GET, header(100) * 10),
        (b"GET /?", b"b" * 1000),
        (b"", b"\r\n" * 500),
        (GET + b"a: ", b"b" * 200_000),
    ],
    ids=["value", "name", "headers", "url", "lines", "at once"],
)
async def test_a_head_that_goes_on_is_refused_and_no_more_of_it_is_kept(
    connected: tuple[BoundedProtocol, Recorded], recorder: Counting, start: bytes, more: bytes
) -> None:
    one, transport = connected
    one.data_received(start)
    sent = len(start)
    while not transport.written and sent < 1e6:
        one.data_received(more)
        sent += len(more)
    assert sent <= MOST_HEAD_BYTES + len(more)
    assert_refused(transport, recorder)
    # What still comes is thrown away.
    for _ in range(10):
        one.data_received(more)
    assert transport.written.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("cut", [0, 50_000], ids=["at once", "in two"])
async def test_a_whole_head_has_the_same_limit(
    connected: tuple[BoundedProtocol, Recorded], recorder: Counting, cut: int
) -> None:
    one, transport = connected
    kept = GET + header(MOST_HEAD_BYTES - len(GET)) + b"\r\n"
    for data in (kept[:cut], kept[cut:]):
        one.data_received(data)
    await answered(transport)
    assert transport.written.startswith(b"HTTP/1.1 200 ")
    transport.written = b""
    too_large = GET + header(MOST_HEAD_BYTES) + b"\r\n"
    for data in (too_large[:cut], too_large[cut:]):
        one.data_received(data)
    assert_refused(transport, recorder)


@pytest.mark.parametrize("piece", [7000, 200_000])
async def test_bodies_and_further_requests_are_not_counted(
    connected: tuple[BoundedProtocol, Recorded], recorder: Counting, piece: int
) -> None:
    one, transport = connected
    body = b"b" * 300_000
    declared = POST + b"content-length: 300000\r\n\r\n" + body
    chunked = POST + b"transfer-encoding: chunked\r\n\r\n" + b"493e0\r\n" + body + b"\r\n0\r\n\r\n"
    tiny = POST + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\nb\r\n" * 30_000 + b"0\r\n\r\n"
    asked = (declared + GET + header(40_000) + b"\r\n") * 2 + chunked + GET + b"\r\n" + tiny
    for start in range(0, len(asked), piece):
        one.data_received(asked[start : start + piece])
    await answered(transport, 7)
    assert transport.written.count(b"HTTP/1.1 200 ") == 7
    assert transport.written.endswith(b"30000")
    assert not recorder.ends
    assert not transport.closing


async def test_a_request_in_flight_has_its_answer_before_the_head_behind_it_ends_the_connection(
    connected: tuple[BoundedProtocol, Recorded], recorder: Counting
) -> None:
    one, transport = connected
    one.data_received(GET + b"\r\n" + GET + header(MOST_HEAD_BYTES) + b"\r\n")
    assert not transport.written
    await answered(transport)
    assert transport.written.startswith(b"HTTP/1.1 200 ")
    assert transport.written.count(b"HTTP/1.1 ") == 1
    assert transport.closing
    assert recorder.ends == {"large_head": 1}


@pytest.mark.parametrize(
    "between", [b"1;" + b"e" * 1000, b"0\r\nt: " + b"t" * 1000], ids=["chunk", "trailer"]
)
async def test_what_stands_between_chunks_is_bounded_too(
    connected: tuple[BoundedProtocol, Recorded], recorder: Counting, between: bytes
) -> None:
    one, transport = connected
    one.data_received(POST + b"transfer-encoding: chunked\r\n\r\n" + between)
    for _ in range(100):
        if not transport.closing:
            one.data_received(between[-1000:])
    assert transport.was_aborted
    assert recorder.ends == {"large_head": 1}


async def test_who_still_sends_gets_to_read_the_refusal(bound: Connections) -> None:
    """And not a broken pipe, over a real connection."""
    server = await asyncio.get_running_loop().create_server(lambda: protocol(bound), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client,
    ):
        answer = await client.get("/", headers={"a": "b" * 20_000_000})
        assert answer.status_code == 431
        assert (await client.get("/")).status_code == 200


LIMITS = """
import logging, resource, sys
from app.open_files import allow_open_files
logging.basicConfig(format="%(message)s")
allow_open_files(int(sys.argv[1]))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


async def limit_after(connections: int, soft: int, hard: int) -> tuple[int, str]:
    """The soft limit that a process has after it has asked for room, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh"),
        *(sys.executable, "-c", LIMITS, str(connections)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, said = await process.communicate()
    assert process.returncode == 0, said
    return int(output), said.decode()


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096, reason="few open files here")
async def test_the_limit_of_open_files_is_raised_as_far_as_it_is_needed_and_allowed() -> None:
    assert await limit_after(2000, soft=1024, hard=4096) == (2512, "")
    assert await limit_after(100, soft=1024, hard=4096) == (1024, "")
    limit, said = await limit_after(2000, soft=1024, hard=2048)
    assert limit == 2048
    assert "SPORTVISION_MAX_CONNECTIONS" in said
