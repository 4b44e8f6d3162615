"""What the benchmarks measure with must itself be right."""

import asyncio
import io
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.multipart import field_values
from benchmarks.support.direct import direct, ready_request
from benchmarks.support.load import Caller, Failed, closed_loop, open_loop, upload
from benchmarks.support.pictures import photo, photo_of_bytes
from benchmarks.support.plots import Scale, line_plot
from benchmarks.support.processes import NotReadyError, answers, cpu_clock, running, wait_until
from benchmarks.support.services import PREDICT, instant_backend
from proto_client import ModelServerClient, to_tensor_proto
from tests.support.dead_proxy import name_a_dead_proxy
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import MODEL, gateway_settings, running_gateway
from tests.support.pictures import grey_jpeg


def test_photos_are_the_same_every_time_and_as_large_as_they_should_be() -> None:
    made = photo(299, 299)
    assert Image.open(io.BytesIO(made)).size == (299, 299)
    photo.cache_clear()
    assert photo(299, 299) == made
    assert photo_of_bytes(20_000) == pytest.approx(photo_of_bytes(20_000))
    assert len(photo_of_bytes(20_000)) == pytest.approx(20_000, rel=0.1)


def test_an_upload_is_a_form_with_the_pictures() -> None:
    head, _, body = upload(PREDICT, [b"one", b"two"], token="t", name="files").partition(b"\r\n\r\n")
    boundary = head.split(b"boundary=")[1].split(b"\r\n")[0]
    assert field_values(body, boundary, "files") == [b"one", b"two"]
    assert b"Content-Length: %d" % len(body) in head


def test_cpu_time_is_that_of_the_process_and_its_children(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\ntime.sleep(60)"
    script = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy!r}])"
    with running([sys.executable, "-c", script], log=tmp_path / "log") as process:
        wait_until(lambda: process.cpu_seconds() > 0.3, process)
        assert len(process.pids()) == 2
        assert process.memory()[0] > 5
        for pid in process.pids():
            assert time.clock_gettime(cpu_clock(pid)) > 0
        subprocess.run(["kill", str(process.pids()[1])], check=True)


def test_a_process_that_ends_too_soon_is_told_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no luck')"]
    with running(command, log=tmp_path / "log") as process, pytest.raises(NotReadyError, match="no luck"):
        wait_until(lambda: False, process)


def test_a_plot_shows_every_line() -> None:
    lines = {"one": [(1.0, 2.0), (10.0, 4.0)], "two": [(1.0, 1.0), (10.0, 100.0)]}
    for logarithmic in (False, True):
        svg = line_plot(lines, x=Scale("x", logarithmic), y=Scale("y", logarithmic), title="a & b")
        assert svg.count("<polyline") == 2
        assert svg.count("<circle") == 4
        assert 'aria-label="a &amp; b"' in svg


async def test_the_gateway_answers_before_the_instant_backend(tmp_path: Path) -> None:
    with instant_backend(tmp_path, side=32) as target:
        settings = gateway_settings(target, product_model="")
        async with running_gateway(settings) as url:
            port = int(url.rpartition(":")[2])
            token = settings.tokens[0].get_secret_value()
            request = upload(PREDICT, [grey_jpeg(0)], token=token)
            waits = await closed_loop(port, request, callers_at_once=2, seconds=0.3)
            assert waits.seconds
            assert not waits.failed
            waits = await open_loop(port, request, rate=20, seconds=0.3)
            assert (len(waits.seconds), waits.failed) == (6, 0)
            caller = Caller(port)
            with pytest.raises(Failed, match="401"):
                await caller.ask(upload(PREDICT, [grey_jpeg(0)], token="another-token-altogether"))
            await caller.close()


@pytest.mark.parametrize("pictures", [1, 3])
async def test_the_instant_backend_answers_for_each_picture(tmp_path: Path, pictures: int) -> None:
    with instant_backend(tmp_path, side=32) as target:
        async with ModelServerClient(target, check_signatures=False) as client:
            for dtype in (np.uint8, np.float32):
                images = to_tensor_proto(np.zeros((pictures, 32, 32, 3), dtype))
                found = await client.predict({"images": images}, model=MODEL, timeout=10)
                assert found.outputs["probabilities"].shape == (pictures, 20)


async def test_a_connection_that_the_server_closed_is_opened_anew() -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        caller = Caller(server.sockets[0].getsockname()[1])
        for _ in range(3):
            assert await caller.ask(b"GET / HTTP/1.1\r\n\r\n") == b"ok"
        await caller.close()
    assert asked == 3


async def test_the_environments_proxy_does_not_come_between(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % (b"200 OK" if path == b"/" else b"503 No"))
        await writer.drain()
        writer.close()

    name_a_dead_proxy(monkeypatch)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await asyncio.to_thread(answers, f"{url}/")
        assert not await asyncio.to_thread(answers, f"{url}/readyz")
    async with FakeBackend() as backend, direct(backend.target) as channel:
        backend.add_version(MODEL, 1)
        assert await channel.ask(ready_request(32))
