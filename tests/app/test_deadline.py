"""The caller's deadline, X-Request-Timeout: upload, queue, decoding and inference end with it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.datastructures import Headers

import app.decoding
import preprocessing
from app.deadline import asked_seconds
from app.errors import InvalidParameter
from app.main import create_app
from app.settings import Settings
from tests.app.test_errors import assert_problem
from tests.app.test_upload import form
from tests.support.fake_backend import FakeBackend, Method
from tests.support.gateway import TOKEN, Endpoint, gateway_client, gateway_settings, running_gateway
from tests.support.pictures import grey_jpeg

# Far from what is waited for, and from the service's own limits.
SLACK = 5.0


async def ask(client: httpx.AsyncClient, path: str, seconds: str) -> httpx.Response:
    return await client.post(path, files={"file": grey_jpeg(0)}, headers={"X-Request-Timeout": seconds})


@pytest.mark.parametrize(("text", "seconds"), [("2", 2.0), ("0.25", 0.25), (" 1.5 ", 1.5), ("007", 7.0)])
def test_seconds_are_decimal(text: str, seconds: float) -> None:
    assert asked_seconds(Headers({"x-request-timeout": text})) == seconds
    assert asked_seconds(Headers({})) is None


@pytest.mark.parametrize(
    "text", ["", "0", "0.000", "-1", "+1", "1e3", "1_0", ".5", "5.", "1,5", "inf", "nan", "5s", "١", "1" * 10]
)
def test_anything_else_is_refused(text: str) -> None:
    headers = Headers(raw=[(b"x-request-timeout", text.encode())])
    with pytest.raises(InvalidParameter, match="one number of seconds above 0"):
        asked_seconds(headers)


def test_two_of_them_are_one_too_many() -> None:
    headers = Headers(raw=[(b"x-request-timeout", b"1"), (b"x-request-timeout", b"2")])
    with pytest.raises(InvalidParameter, match=r"X-Request-Timeout = '1, 2'"):
        asked_seconds(headers)


async def test_a_malformed_one_is_a_problem(endpoint: Endpoint, client: httpx.AsyncClient) -> None:
    answer = await ask(client, endpoint.path, "soon")
    assert_problem(answer, 422, "invalid-parameter", "X-Request-Timeout = 'soon'")
    assert answer.json()["errors"][0]["parameter"] == "X-Request-Timeout"


async def test_enough_time_changes_nothing(endpoint: Endpoint, client: httpx.AsyncClient) -> None:
    assert (await ask(client, endpoint.path, "25")).status_code == 200


async def test_hardly_any_time_ends_as_the_callers_own_deadline(
    endpoint: Endpoint, client: httpx.AsyncClient
) -> None:
    for _ in range(10):
        assert_problem(
            await ask(client, endpoint.path, "0.0005"), 504, "deadline-exceeded", "X-Request-Timeout"
        )


async def test_a_model_server_that_hangs(
    endpoint: Endpoint, backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    with backend.hold(Method.PREDICT):
        started = time.perf_counter()
        answer = await ask(client, endpoint.path, "0.3")
        assert time.perf_counter() - started < SLACK
        # It was its deadline too.
        await backend.wait_cancelled(Method.PREDICT, 1)
    assert_problem(answer, 504, "deadline-exceeded", "X-Request-Timeout")


async def test_it_can_only_shorten_the_services_own_limit(endpoint: Endpoint, backend: FakeBackend) -> None:
    async with gateway_client(gateway_settings(backend.target, predict_timeout_seconds=0.2)) as client:
        with backend.hold(Method.PREDICT):
            assert_problem(await ask(client, endpoint.path, "3600"), 504, "deadline-exceeded", "0.2 seconds")


async def test_an_upload_that_is_too_slow(endpoint: Endpoint, settings: Settings) -> None:
    body = form(("file", grey_jpeg(0)))
    head = (
        f"POST {endpoint.path} HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=frontier\r\nX-Request-Timeout: 0.3\r\n\r\n"
    )
    async with running_gateway(settings) as url:
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        started = time.perf_counter()
        writer.write(head.encode() + body[:-1])
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 20)
        assert time.perf_counter() - started < SLACK
        writer.close()
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b"The upload was not over within the 0.3 seconds" in answer


class HeldDecoder:
    """Decodes nothing before it is let go."""

    def __init__(self, decode: Any) -> None:
        self._decode = decode
        self.go = threading.Event()
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        assert self.go.wait(30)
        return self._decode(*args, **kwargs)


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldDecoder]:
    held = HeldDecoder(preprocessing.decode_picture)
    monkeypatch.setattr(app.decoding, "decode_picture", held)
    yield held
    held.go.set()


async def test_a_picture_that_takes_long_to_decode_and_one_that_waits_behind_it(
    endpoint: Endpoint, backend: FakeBackend, decoder: HeldDecoder
) -> None:
    settings = gateway_settings(backend.target, decode_workers=1, inline_decode_pixels=0)
    async with gateway_client(settings) as client:
        started = time.perf_counter()
        answers = await asyncio.gather(*(ask(client, endpoint.path, "0.3") for _ in range(3)))
        assert time.perf_counter() - started < SLACK
        for answer in answers:
            assert_problem(answer, 504, "deadline-exceeded")
        decoder.go.set()
        assert (await ask(client, endpoint.path, "25")).status_code == 200
    # Of the three, the thread decoded the one that it had begun; the others were dropped.
    assert decoder.calls == 2
    assert backend.calls[Method.PREDICT] == 1


def test_it_is_documented_for_every_picture_endpoint(endpoint: Endpoint) -> None:
    document = create_app(gateway_settings("127.0.0.1:1")).openapi()
    operation = document["paths"][endpoint.path]["post"]
    (header,) = [one for one in operation["parameters"] if one["name"] == "X-Request-Timeout"]
    assert (header["in"], header["required"], header["schema"]["type"]) == ("header", False, "number")
    assert {"top_k", "threshold"} <= {one["name"] for one in operation["parameters"]}
