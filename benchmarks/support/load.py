"""Load over HTTP: one request after the other, many callers at once, or arrivals at a fixed rate."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

_BOUNDARY = "----a-boundary-that-no-picture-holds"
_PATIENCE = 120.0


def upload(path: str, pictures: Sequence[bytes], *, token: str, name: str = "file") -> bytes:
    """A whole HTTP/1.1 request with these pictures as multipart/form-data, as curl would send it."""
    parts = []
    for number, picture in enumerate(pictures):
        head = (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="photo{number}.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        )
        parts += [head.encode(), picture, b"\r\n"]
    body = b"".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])
    return post(path, body, token=token, media_type=f"multipart/form-data; boundary={_BOUNDARY}")


def post(path: str, body: bytes, *, token: str, media_type: str) -> bytes:
    """A whole HTTP/1.1 request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
        f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Failed(RuntimeError):
    """An answer was not what was asked for."""


class Caller:
    """One connection, opened anew where the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, *, expect: int = 200) -> bytes:
        """Send a request and read the answer's body.

        Raises:
            Failed: The status is another than expected.
        """
        status, body = await self.exchange(request)
        if status != expect:
            raise Failed(f"{status}: {body[:500]!r}")
        return body

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and read the answer: its status and body.

        A connection that was kept may have been closed by the server just now, for it was idle. That is no fault of
        the server, and HTTP clients then open another one and send once more (RFC 9112, section 9.3.1).
        """
        if self._streams is not None:
            try:
                return await self._exchange(request, self._streams)
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    raise
            except ConnectionError:
                pass
            await self.close()
        self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return await self._exchange(request, self._streams)

    async def _exchange(
        self, request: bytes, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> tuple[int, bytes]:
        reader, writer = streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        body = await self._body(reader, fields)
        if fields.get(b"connection") == b"close":
            await self.close()
        return int(head.split(b" ", 2)[1]), body

    @staticmethod
    async def _body(reader: asyncio.StreamReader, fields: dict[bytes, bytes]) -> bytes:
        if b"content-length" in fields:
            return await reader.readexactly(int(fields[b"content-length"]))
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body

    async def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            with contextlib.suppress(OSError):
                await self._streams[1].wait_closed()
            self._streams = None


@contextlib.asynccontextmanager
async def callers(port: int, count: int) -> AsyncIterator[list[Caller]]:
    """So many connections."""
    made = [Caller(port) for _ in range(count)]
    try:
        yield made
    finally:
        for caller in made:
            await caller.close()


@dataclass(slots=True)
class Waits:
    """How long callers waited, in seconds, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    wall: float = 0.0


async def one_by_one(caller: Caller, request: bytes, count: int) -> Waits:
    """Send one request after the other."""
    waits = Waits()
    begun = time.perf_counter()
    for _ in range(count):
        started = time.perf_counter()
        await caller.ask(request)
        waits.seconds.append(time.perf_counter() - started)
    waits.wall = time.perf_counter() - begun
    return waits


async def closed_loop(port: int, request: bytes, *, callers_at_once: int, seconds: float) -> Waits:
    """Keep so many requests in flight for so long: each caller sends the next when it has its answer."""
    waits = Waits()
    end = time.perf_counter() + seconds

    async def keep_asking(caller: Caller) -> None:
        while (started := time.perf_counter()) < end:
            try:
                await caller.ask(request)
            except (Failed, OSError, asyncio.IncompleteReadError):
                waits.failed += 1
                await caller.close()
                continue
            waits.seconds.append(time.perf_counter() - started)

    begun = time.perf_counter()
    async with callers(port, callers_at_once) as connections:
        await asyncio.gather(*map(keep_asking, connections))
    waits.wall = time.perf_counter() - begun
    return waits


async def open_loop(port: int, request: bytes, *, rate: float, seconds: float) -> Waits:
    """Send at fixed times, whether earlier requests are answered or not, and count each wait from its time.

    A caller who only sends the next request after the last answer comes less often to a slow server, and so hides its
    waits ("coordinated omission", Gil Tene, "How NOT to Measure Latency", 2015). Here nothing is hidden: connections
    are opened as they are needed.
    """
    waits = Waits()
    idle: list[Caller] = []
    loop = asyncio.get_running_loop()

    async def ask(due: float) -> None:
        caller = idle.pop() if idle else Caller(port)
        try:
            async with asyncio.timeout(_PATIENCE):
                await caller.ask(request)
        except (Failed, OSError, asyncio.IncompleteReadError, TimeoutError):
            waits.failed += 1
            await caller.close()
            return
        waits.seconds.append(loop.time() - due)
        idle.append(caller)

    begun = loop.time()
    asked = set()
    for number in range(round(rate * seconds)):
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        asked.add(asyncio.create_task(ask(due)))
    await asyncio.gather(*asked)
    waits.wall = loop.time() - begun
    for caller in idle:
        await caller.close()
    return waits
