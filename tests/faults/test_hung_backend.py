"""A model server that takes calls and never answers them; one that is slow; one that hangs up."""

import asyncio
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.backend_process import running_backend
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.load import ask, under_load
from tests.support.pictures import grey_jpeg

# Room for a busy machine; what is measured lies far below.
SLACK = 1.0


async def test_every_caller_of_a_hung_one_is_answered_in_time_and_it_may_come_back(tmp_path: Path) -> None:
    deadline = 1.0
    with running_backend(tmp_path) as backend:
        async with gateway_process(backend.target, tmp_path, predict_timeout_seconds=deadline) as gateway:
            await gateway.until_ready()
            assert (await ask(gateway.client, grey_jpeg(7))).what == 200
            # Its system still takes connections and data.
            backend.process.send_signal(signal.SIGSTOP)
            try:
                outcomes = await asyncio.gather(*(ask(gateway.client, grey_jpeg(7)) for _ in range(20)))
                assert {outcome.what for outcome in outcomes} == {504}
                assert max(outcome.seconds for outcome in outcomes) < deadline + SLACK
                assert await gateway.healthy()
                # Nobody waits for a server that is known to be dead.
                again = await ask(gateway.client, grey_jpeg(7))
                assert again.what == 503
                assert again.seconds < deadline / 2
            finally:
                backend.process.send_signal(signal.SIGCONT)
            async with under_load(lambda: gateway.client, callers=1) as load:
                await load.more(10)


async def test_one_of_two_hangs_and_no_request_fails(tmp_path: Path) -> None:
    with running_backend(tmp_path) as first, running_backend(tmp_path) as second:
        async with gateway_process(f"{first.target},{second.target}", tmp_path) as gateway:
            await gateway.until_ready()
            async with under_load(lambda: gateway.client) as load:
                await load.more(50)
                first.process.send_signal(signal.SIGSTOP)
                try:
                    await load.more(200)
                finally:
                    first.process.send_signal(signal.SIGCONT)
                await load.more(50)
    assert load.failed == 0, load.by_kind


async def test_a_slow_one_slows_only_those_who_wait_for_it(tmp_path: Path) -> None:
    with running_backend(tmp_path, "--seconds=0.5", "--places=64") as backend:
        async with gateway_process(backend.target, tmp_path) as gateway:
            await gateway.until_ready()
            asking = [asyncio.create_task(ask(gateway.client, grey_jpeg(7))) for _ in range(16)]
            await _in_flight(gateway, 16)
            started = time.monotonic()
            assert await gateway.healthy()
            assert time.monotonic() - started < 0.5
            assert {outcome.what for outcome in await asyncio.gather(*asking)} == {200}


async def _in_flight(gateway: GatewayProcess, count: int) -> None:
    async with asyncio.timeout(20):
        while (await gateway.metrics()).value("work_in_flight") < count:
            await asyncio.sleep(0.01)


@contextmanager
def resetting_server() -> Iterator[str]:
    """Takes connections and resets each as soon as something comes in."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    connection.recv(1)
                except OSError:
                    continue
                # To linger for no time makes close send a reset.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield "{}:{}".format(*listener.getsockname())
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


async def test_one_that_resets_connections_is_told_as_away(tmp_path: Path) -> None:
    with resetting_server() as target:
        async with gateway_process(target, tmp_path, predict_timeout_seconds=2) as gateway:
            assert not await gateway.ready()
            outcome = await ask(gateway.client, grey_jpeg(7))
            assert outcome.what == 503
            assert outcome.seconds < 2 + SLACK
            assert await gateway.healthy()


async def test_one_of_two_resets_connections_and_no_request_fails(tmp_path: Path) -> None:
    with resetting_server() as bad, running_backend(tmp_path) as good:
        async with gateway_process(f"{bad},{good.target}", tmp_path) as gateway:
            await gateway.until_ready()
            async with under_load(lambda: gateway.client) as load:
                await load.more(100)
    assert load.failed == 0, load.by_kind
