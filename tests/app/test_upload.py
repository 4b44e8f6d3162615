"""Bodies as the wire brings them: cut anywhere, too long, lying about their length."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import ContentTooLarge, InvalidUpload, NotMultipart
from app.settings import Settings
from app.upload import OTHER_FIELDS, read_picture, read_pictures
from tests.support.gateway import PREDICT, TOKEN, gateway_client, gateway_settings, running_gateway
from tests.support.pictures import grey_jpeg


def form(*parts: tuple[str, bytes], boundary: str = "frontier") -> bytes:
    body = b"".join(
        b"--%b\r\nContent-Disposition: form-data; name=\"%b\"; filename=\"a.jpg\"\r\n"
        b"Content-Type: image/jpeg\r\n\r\n%b\r\n" % (boundary.encode(), name.encode(), data)
        for name, data in parts
    )  # fmt: skip
    return body + b"--%b--\r\n" % boundary.encode()


def request_of(chunks: list[bytes], headers: dict[str, str] | None = None) -> Request:
    """A request whose body comes in these chunks."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
    ]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(waiting)

    all_headers = {"content-type": "multipart/form-data; boundary=frontier", "host": "x", **(headers or {})}
    scope = {
        "type": "http",
        "method": "POST",
        "path": PREDICT,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in all_headers.items()],
        "server": ("x", 80),
        "scheme": "http",
    }
    return Request(scope, receive)


@settings(deadline=None)  # a busy machine must not fail it
@given(data=st.binary(min_size=1, max_size=400), cuts=st.lists(st.integers(0, 800), max_size=30))
async def test_the_picture_survives_any_cutting_of_the_body(data: bytes, cuts: list[int]) -> None:
    body = form(("other", b"--frontie\r\n"), ("file", data))
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    chunks = [body[start:end] for start, end in itertools.pairwise(places)]
    assert await read_picture(request_of(chunks), 10_000, 10) == data


async def test_a_part_without_a_filename_counts_too() -> None:
    body = form(("file", b"bytes")).replace(b'; filename="a.jpg"', b"")
    assert await read_picture(request_of([body]), 10_000, 10) == b"bytes"


async def test_the_limit_is_of_the_whole_body() -> None:
    body = form(("file", b"x" * 100))
    assert await read_picture(request_of([body]), len(body), 10) == b"x" * 100
    with pytest.raises(ContentTooLarge):
        await read_picture(request_of([body]), len(body) - 1, 10)


async def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    request = request_of([], {"content-length": "1001"})
    with pytest.raises(ContentTooLarge, match="1,001 bytes"):
        await read_picture(request, 1000, 10)


async def test_a_lying_length_does_not_get_past_the_limit() -> None:
    with pytest.raises(ContentTooLarge):
        await read_picture(request_of([form(("file", b"x" * 2000))], {"content-length": "10"}), 1000, 10)


async def test_what_exceeds_the_limit_is_not_read() -> None:
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    request = request_of([])
    request._receive = receive
    with pytest.raises((ContentTooLarge, InvalidUpload)):
        await read_picture(request, 1000, 10)
    assert read <= 11


async def test_a_form_of_too_many_parts_is_told_how_many_there_may_be() -> None:
    others = [("other", b"x")] * OTHER_FIELDS
    assert await read_picture(request_of([form(*others, ("file", b"bytes"))]), 100_000, 10) == b"bytes"
    with pytest.raises(InvalidUpload, match="more than 33 parts"):
        await read_picture(request_of([form(*others, ("other", b""), ("file", b"bytes"))]), 100_000, 10)
    files = [("files", b"bytes")] * 5
    assert await read_pictures(request_of([form(*others, *files)]), 100_000, 10, most=5) == [b"bytes"] * 5
    with pytest.raises(InvalidUpload, match='36 parts; 4 in the field "files" and 32 others are allowed'):
        await read_pictures(request_of([form(*others, *files)]), 100_000, 10, most=4)


async def test_a_content_type_of_endless_parameters_is_refused_unread() -> None:
    request = request_of([], {"content-type": "multipart/form-data; boundary=b" + ";" * 60_000})
    with pytest.raises(NotMultipart, match="too many parameters"):
        await read_picture(request, 1000, 10)


@pytest.fixture
def small(backend: Any) -> Settings:
    return gateway_settings(backend.target, max_upload_bytes=100_000)


async def chunked(total: int) -> AsyncIterator[bytes]:
    body = form(("file", b"x" * total))
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


@pytest.mark.parametrize("use_chunks", [False, True], ids=["declared", "chunked"])
async def test_a_sender_of_far_too_much_gets_to_read_the_413(small: Settings, use_chunks: bool) -> None:
    """And not a broken pipe: the gateway answers early, but lingers until the sender has seen it."""
    async with gateway_client(small) as client:
        content = chunked(30_000_000) if use_chunks else form(("file", b"x" * 30_000_000))
        headers = {"Content-Type": "multipart/form-data; boundary=frontier"}
        answer = await client.post(PREDICT, content=content, headers=headers)
        assert answer.status_code == 413
        assert answer.headers["connection"] == "close"
        assert "100,000 bytes" in answer.json()["detail"]
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "framing", ["Content-Length: 20000000", "Transfer-Encoding: chunked"], ids=["declared", "chunked"]
)
async def test_the_413_comes_before_the_body_ends(small: Settings, framing: str) -> None:
    start = form(("file", b"x" * 150_000))[:140_000]
    if "chunked" in framing:
        start = b"%x\r\n%b\r\n" % (len(start), start)
    async with running_gateway(small) as url:
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head = (
            f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\n{framing}\r\n"
            "Content-Type: multipart/form-data; boundary=frontier\r\n\r\n"
        )
        writer.write(head.encode() + start)
        async with asyncio.timeout(10):
            status = await reader.readline()
        writer.close()
    assert status.startswith(b"HTTP/1.1 413 ")


async def test_an_upload_within_the_limit_keeps_its_connection(client: httpx.AsyncClient) -> None:
    answer = await client.post(PREDICT, files={"file": grey_jpeg(0)})
    assert "connection" not in answer.headers
