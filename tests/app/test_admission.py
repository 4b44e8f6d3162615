"""Beyond its bounds the gateway refuses at once, and goes on with the rest."""

import asyncio
from urllib.parse import urlsplit

import httpx
import pytest

from app.admission import Admission
from app.errors import ServiceUnavailable
from app.metrics.recorder import Recorder
from tests.app.test_errors import assert_problem
from tests.support.fake_backend import FakeBackend, Method
from tests.support.gateway import PREDICT, PREDICT_PRODUCT, TOKEN, gateway_client, gateway_settings
from tests.support.pictures import grey_jpeg
from tests.support.scrape import scrape


def admission(in_flight: int = 2, upload_bytes: int = 100) -> Admission:
    return Admission(
        max_in_flight=in_flight, max_upload_bytes=upload_bytes, retry_after=5, recorder=Recorder()
    )


def test_a_place_is_held_until_its_block_ends_however_it_ends() -> None:
    bound = admission(in_flight=1)
    with bound.let_in(10):
        assert (bound.in_flight, bound.upload_bytes) == (1, 10)
        with pytest.raises(ServiceUnavailable, match="after 5 seconds") as caught, bound.let_in(1):
            pass
        assert caught.value.headers == {"Retry-After": "5"}
    assert (bound.in_flight, bound.upload_bytes) == (0, 0)
    with pytest.raises(LookupError), bound.let_in(10):
        raise LookupError
    assert (bound.in_flight, bound.upload_bytes) == (0, 0)
    with bound.let_in(10):
        pass


def test_memory_is_bounded_by_what_may_come_and_given_back_when_less_came() -> None:
    bound = admission()
    with bound.let_in(80) as place:
        with pytest.raises(ServiceUnavailable), bound.let_in(21):
            pass
        place.shrink(30)
        place.shrink(90)
        assert bound.upload_bytes == 30
        with bound.let_in(70):
            assert (bound.in_flight, bound.upload_bytes) == (2, 100)
    assert (bound.in_flight, bound.upload_bytes) == (0, 0)


async def test_beyond_the_bound_a_503_at_once_while_probes_go_on(backend: FakeBackend) -> None:
    settings = gateway_settings(backend.target, max_in_flight=2, retry_after_seconds=3)
    async with gateway_client(settings) as client:
        with backend.hold(Method.PREDICT) as gate:
            held = [
                asyncio.create_task(client.post(path, files={"file": grey_jpeg(0)}))
                for path in (PREDICT, PREDICT_PRODUCT)
            ]
            await backend.wait_calls(Method.PREDICT, 2)
            for _ in range(3):
                answer = await client.post(PREDICT, files={"file": grey_jpeg(0)})
                assert_problem(answer, 503, "service-unavailable", "send it again after 3 seconds")
                assert answer.headers["retry-after"] == "3"
            # Those who are not let in anyway learn nothing of the load.
            stranger = await client.post(PREDICT, headers={"Authorization": ""}, files={"file": b"x"})
            assert stranger.status_code == 401
            for path in ("/healthz", "/readyz", "/sports"):
                assert (await client.get(path)).status_code == 200
            found = await scrape(client)
            assert found.value("shed_total", reason="in_flight") == 3
            assert (found.value("work_in_flight"), found.value("work_in_flight_limit")) == (2, 2)
            gate.set()
            assert [(await task).status_code for task in held] == [200, 200]
        assert backend.calls[Method.PREDICT] == 2
        assert (await client.post(PREDICT, files={"file": grey_jpeg(0)})).status_code == 200


@pytest.mark.parametrize(
    ("framing", "let_in"),
    [
        ("Content-Length: 60000", False),
        ("Transfer-Encoding: chunked", False),
        ("Content-Length: 40000", True),
    ],
)
async def test_an_upload_that_finds_no_memory_is_refused_before_its_first_byte(
    backend: FakeBackend, framing: str, let_in: bool
) -> None:
    settings = gateway_settings(backend.target, max_upload_bytes=60_000, max_upload_memory_bytes=100_000)
    async with gateway_client(settings) as client:
        first, first_writer = await upload(client, "Content-Length: 60000")
        async with asyncio.timeout(20):
            while not (await scrape(client)).value("upload_memory_bytes"):
                await asyncio.sleep(0.01)
        second, second_writer = await upload(client, framing)
        if let_in:
            async with asyncio.timeout(20):
                while (await scrape(client)).value("upload_memory_bytes") < 100_000:
                    await asyncio.sleep(0.01)
        else:
            async with asyncio.timeout(20):
                assert (await second.readline()).startswith(b"HTTP/1.1 503 ")
            assert (await scrape(client)).value("shed_total", reason="upload_memory") == 1
        # Callers who leave in the middle of an upload leave nothing behind.
        first_writer.close()
        second_writer.close()
        async with asyncio.timeout(20):
            while (await scrape(client)).value("work_in_flight"):
                await asyncio.sleep(0.01)
        found = await scrape(client)
        assert found.value("upload_memory_bytes") == 0
        assert found.value("http_requests_total", route=PREDICT, method="POST", status="499") == 1 + let_in
    assert not first.at_eof() or not await first.read()


async def test_a_slow_sender_loses_its_place(backend: FakeBackend) -> None:
    settings = gateway_settings(backend.target, upload_timeout_seconds=0.2, max_in_flight=1)
    async with gateway_client(settings) as client:
        reader, writer = await upload(client, "Content-Length: 1000")
        writer.write(b"--fron")
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        writer.close()
        assert (await client.post(PREDICT, files={"file": grey_jpeg(0)})).status_code == 200


async def upload(
    client: httpx.AsyncClient, framing: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Begin a request, and send no byte of its body."""
    address = urlsplit(str(client.base_url))
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\n{framing}\r\n"
        "Content-Type: multipart/form-data; boundary=frontier\r\n\r\n"
    )
    writer.write(head.encode())
    return reader, writer


def test_nothing_is_let_in_while_decoding_takes_no_more() -> None:
    full = True
    bound = Admission(
        max_in_flight=2,
        max_upload_bytes=100,
        retry_after=5,
        recorder=Recorder(),
        decoding_full=lambda: full,
    )
    with pytest.raises(ServiceUnavailable, match="waiting for decoding") as caught, bound.let_in(1):
        pass
    assert caught.value.headers == {"Retry-After": "5"}
    full = False
    with bound.let_in(1):
        pass
