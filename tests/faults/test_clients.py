"""Clients that hold on to what they can, and a disk that takes nothing."""

import asyncio
import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.backend_process import running_backend
from tests.support.gateway import PREDICT, TOKEN
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.load import ask, under_load
from tests.support.pictures import encoded, grey_jpeg, quadrants

CONNECTIONS = 10_000
LIMIT = 500

HEAD = (
    f"POST {PREDICT} HTTP/1.1\r\nHost: gateway\r\nAuthorization: {TOKEN}\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
).encode()
BODY = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


async def drip(port: int, content: bytes, at_once: int) -> tuple[bytes, float]:
    """Send so many bytes at once and the rest one by one; return what came back, and after how long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    answer = asyncio.create_task(reader.read())
    writer.write(content[:at_once])
    try:
        for byte in content[at_once:]:
            if answer.done():
                break
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.wait((answer,), timeout=0.1)
    except ConnectionError:
        pass
    try:
        return await answer, time.monotonic() - started
    except ConnectionError:
        return b"", time.monotonic() - started
    finally:
        writer.close()


async def test_a_body_that_drips_in_ends_with_408_and_disturbs_nobody(tmp_path: Path) -> None:
    with running_backend(tmp_path) as backend:
        settings = {"upload_timeout_seconds": 1, "header_timeout_seconds": 5, "max_in_flight": 8}
        async with gateway_process(backend.target, tmp_path, **settings) as gateway:
            await gateway.until_ready()
            async with under_load(lambda: gateway.client, callers=2) as load:
                slow = await asyncio.gather(
                    *(drip(gateway.port, HEAD + BODY + bytes(1000), len(HEAD)) for _ in range(4))
                )
            assert all(answer.startswith(b"HTTP/1.1 408 ") for answer, _ in slow)
            # The timeout, the two seconds in which the rest is thrown away, and room for a busy machine.
            assert all(1 <= seconds < 6 for _, seconds in slow)
            assert load.failed == 0, load.by_kind
            assert load.by_kind[200] > 20


async def test_a_head_that_drips_in_ends_the_connection(tmp_path: Path) -> None:
    with running_backend(tmp_path) as backend:
        async with gateway_process(backend.target, tmp_path, header_timeout_seconds=0.5) as gateway:
            await gateway.until_ready()
            slow = await asyncio.gather(
                drip(gateway.port, HEAD, 0),
                drip(gateway.port, HEAD, 40),
                # The same on a connection that has served a request before.
                drip(gateway.port, b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n" + HEAD, 45),
            )
            assert [answer[:15] for answer, _ in slow] == [b"", b"", b"HTTP/1.1 200 OK"]
            assert all(seconds < 5 for _, seconds in slow)
            found = await gateway.metrics()
            assert found.value("connections_ended_total", reason="slow_head") == 3
            assert (await ask(gateway.client, grey_jpeg(7))).what == 200


@contextmanager
def many_open_files(count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"this machine allows {hard} open files, {count} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def ended(gateway: GatewayProcess) -> float:
    return (await gateway.metrics()).value("connections_ended_total", reason="made_room")


async def test_ten_thousand_idle_connections_leave_room_for_those_who_ask(tmp_path: Path) -> None:
    with running_backend(tmp_path) as backend, many_open_files(CONNECTIONS + 500):
        async with gateway_process(backend.target, tmp_path, max_connections=LIMIT) as gateway:
            await gateway.until_ready()
            process = psutil.Process(gateway.process.pid)
            before = process.memory_info().rss
            with ExitStack() as stack:
                for number in range(CONNECTIONS):
                    stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), timeout=10))
                    if number % 1000 == 0:
                        assert await gateway.healthy()
                assert (await ask(gateway.client, grey_jpeg(7))).what == 200
                async with asyncio.timeout(20):
                    # Some were still waiting to be accepted.
                    while (await ended(gateway)) < CONNECTIONS - LIMIT:
                        await asyncio.sleep(0.02)
                assert (await gateway.metrics()).value("connections") <= LIMIT
                assert process.num_fds() < LIMIT + 100
                grown = process.memory_info().rss - before
    assert grown < 50e6
    print(f"\n{CONNECTIONS} idle connections, {LIMIT} kept: {grown / 1e6:.1f} MB more")


async def test_a_full_disk_is_not_noticed(tmp_path: Path) -> None:
    # Far above the megabyte from which FastAPI's own form parser would write to a temporary file.
    picture = encoded(quadrants(2400, 1800), "BMP")
    assert len(picture) > 10_000_000
    with running_backend(tmp_path) as backend:
        async with gateway_process(backend.target, tmp_path) as gateway:
            await gateway.until_ready()
            # From here on every write to a file fails, as on a full disk. Sockets are no files.
            psutil.Process(gateway.process.pid).rlimit(psutil.RLIMIT_FSIZE, (0, 0))
            answer = await gateway.client.post(
                PREDICT, files={"file": picture}, headers={"Authorization": TOKEN}
            )
            assert answer.status_code == 200, answer.text
            assert len(json.loads(answer.text)["data"]) == 3
