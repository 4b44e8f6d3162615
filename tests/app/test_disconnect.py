import asyncio
from urllib.parse import urlsplit

from app.settings import Settings
from tests.app.test_upload import form
from tests.support.fake_backend import FakeBackend, Method
from tests.support.gateway import TOKEN, Endpoint, running_gateway
from tests.support.pictures import grey_jpeg


async def test_a_caller_who_goes_away_cancels_the_call_to_the_model(
    endpoint: Endpoint, backend: FakeBackend, settings: Settings
) -> None:
    body = form(("file", grey_jpeg(0)))
    head = (
        f"POST {endpoint.path} HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=frontier\r\n\r\n"
    )
    async with running_gateway(settings) as url:
        address = urlsplit(url)
        with backend.hold(Method.PREDICT):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(head.encode() + body)
            await backend.wait_calls(Method.PREDICT, 1)
            writer.close()
            await backend.wait_cancelled(Method.PREDICT, 1)
