"""Answers given before the body was read: which of them end the connection."""

import asyncio
from urllib.parse import urlsplit

import pytest

from app.settings import Settings
from tests.support.gateway import PREDICT, running_gateway

BODY = b"x" * 1000


async def refused(settings: Settings, sent: bytes, *fields: str) -> tuple[bytes, bool]:
    """Send a head without a token, and these bytes; return the answer's head, and whether another one goes through.

    All of it goes out at once, so that it is there when the head is.
    """
    head = "\r\n".join(
        [f"POST {PREDICT} HTTP/1.1", "Host: x", "Content-Type: multipart/form-data; boundary=b", *fields]
    )
    async with running_gateway(settings) as url:
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(head.encode() + b"\r\n\r\n" + sent)
        async with asyncio.timeout(10):
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"connection: close" in answer:
                await reader.read()
                goes_on = False
            else:
                length = int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                goes_on = (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()
    return answer, goes_on


@pytest.mark.parametrize(
    ("fields", "sent", "goes_on"),
    [
        ([f"Content-Length: {len(BODY)}"], BODY, True),
        (["Transfer-Encoding: chunked"], b"3e8\r\n" + BODY + b"\r\n0\r\n\r\n", True),
        ([f"Content-Length: {len(BODY)}"], BODY[:-1], False),
        (["Transfer-Encoding: chunked"], b"3e8\r\n" + BODY + b"\r\n", False),
    ],
    ids=["whole", "whole, chunked", "a part", "a part, chunked"],
)
async def test_a_connection_stays_where_the_whole_body_has_arrived(
    settings: Settings, fields: list[str], sent: bytes, goes_on: bool
) -> None:
    answer, went_on = await refused(settings, sent, *fields)
    assert answer.startswith(b"http/1.1 401 ")
    assert went_on is goes_on


async def test_who_waits_to_be_asked_for_the_body_is_not_asked_for_it(settings: Settings) -> None:
    answer, goes_on = await refused(settings, b"", f"Content-Length: {len(BODY)}", "Expect: 100-continue")
    assert answer.startswith(b"http/1.1 401 ")
    assert not goes_on
