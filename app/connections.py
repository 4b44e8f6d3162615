"""How many connections are open, how long one may be open without asking for anything, and how much it may ask."""

from asyncio import AbstractEventLoop, TimerHandle, Transport
from itertools import chain
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.errors import Problem, problem_response
from app.metrics.recorder import Recorder

#: A request's line and headers together. Ours need a few hundred bytes, and those that proxies and browsers add some
#: thousands.
MOST_HEAD_BYTES: Final = 65_536

# As long as `UnreadBodyMiddleware` lingers, and for the same reason.
_LINGER_SECONDS: Final = 2.0
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


class HeadTooLarge(Problem):
    """A request's line and headers are over the limit."""

    status, slug, title = 431, "head-too-large", "The request's head is too large"


_TOO_LARGE: Final = (
    f"The request's line and headers together are over the limit of {MOST_HEAD_BYTES:,} bytes. Send pictures and "
    "other content in the body, and leave out headers and cookies that are not needed here."
)


class Connections:
    """The open connections of one process.

    Connections cost a file and some memory each, and whoever opens thousands and says nothing must not keep others
    from being heard. So there is a bound, and a connection that is doing nothing makes room for a new one: first
    those that have not asked for anything yet, then those that have; of each, the one that has been idle for longest.

    Args:
        limit: How many may be open.
        head_seconds: How long the head of a request may take to come in.
        recorder: Is told of every change.
    """

    def __init__(self, *, limit: int, head_seconds: float, recorder: Recorder) -> None:
        self.head_seconds = head_seconds
        self._limit = limit
        self._recorder = recorder
        self._open: set[BoundedProtocol] = set()
        # In the order in which they came, and became idle.
        self._fresh: dict[BoundedProtocol, None] = {}
        self._idle: dict[BoundedProtocol, None] = {}

    def opened(self, connection: "BoundedProtocol") -> bool:
        """Take a new connection on; False where it must be refused, since all others are busy."""
        if len(self._open) >= self._limit:
            longest = next(chain(self._fresh, self._idle), None)
            if longest is None:
                self._recorder.connection_ended("refused")
                return False
            self.closed(longest)
            self._recorder.connection_ended("made_room")
            # Not close: that would wait for one who reads nothing.
            longest.transport.abort()
        self._open.add(connection)
        self._fresh[connection] = None
        self._recorder.connections_changed(1)
        return True

    def busy(self, connection: "BoundedProtocol") -> None:
        """A request has begun."""
        self._fresh.pop(connection, None)
        self._idle.pop(connection, None)

    def idle(self, connection: "BoundedProtocol") -> None:
        """A request was answered, and no other has come yet."""
        if connection in self._open:
            self._idle[connection] = None

    def closed(self, connection: "BoundedProtocol") -> None:
        """A connection is gone, or about to be."""
        self._fresh.pop(connection, None)
        self._idle.pop(connection, None)
        if connection in self._open:
            self._open.remove(connection)
            self._recorder.connections_changed(-1)

    def too_slow(self, connection: "BoundedProtocol") -> None:
        """A request's head took too long."""
        self._recorder.connection_ended("slow_head")
        self.closed(connection)

    def too_large(self) -> None:
        """A request's head was over the limit."""
        self._recorder.connection_ended("large_head")


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with its connections counted, and its patience and memory for a request's head bounded.

    uvicorn itself waits for ever for the first byte, and for the rest of a head, and keeps however much of it comes.
    Needs the `Services` in the app's lifespan state, for its bounds.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all: Connections = app_state["services"].connections
        self._head_timer: TimerHandle | None = None
        self._awaits_head = True
        # What came in and has not been handed on: an unfinished head, or what stands around the chunks of a body.
        self._held_bytes = 0
        self._refused = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        if self._all.opened(self):
            self._start_timer()
        else:
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._stop_timer()
        self._all.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._refused:
            return
        self._held_bytes += len(data)
        super().data_received(data)
        if self._held_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()
        # A head that came in at once, as most do, never needed a timer.
        elif self._awaits_head and self._head_timer is None and not self.transport.is_closing():
            self._start_timer()

    def on_message_begin(self) -> None:
        """See `HttpToolsProtocol`."""
        self._awaits_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        self._held_bytes = 0
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MOST_HEAD_BYTES:
            self._refuse()
            # Ends the parsing; uvicorn then asks for a 400.
            raise HeadTooLarge(_TOO_LARGE)
        self._awaits_head = False
        self._stop_timer()
        self._all.busy(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See `HttpToolsProtocol`."""
        self._held_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        self._held_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """See `HttpToolsProtocol`."""
        if not self._refused:
            super().send_400_response(msg)

    def on_response_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._all.idle(self)

    def _refuse(self) -> None:
        """Read no more of this connection, and end it."""
        self._refused = True
        self._stop_timer()
        self._all.too_large()
        if not self._awaits_head:
            # It grew in the midst of a body: whoever writes such chunks reads no answer, and one may have begun.
            self.transport.abort()
        elif self.cycle is not None and not self.cycle.response_complete:
            # Requests before it on the connection have their answers first.
            self.cycle.keep_alive = False
        else:
            self.transport.write(_too_large_answer())
            # To close at once would reset the connection under a caller who is still sending.
            self._head_timer = self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(self._all.head_seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._all.too_slow(self)
            self.transport.abort()


def _too_large_answer() -> bytes:
    answer = problem_response(HeadTooLarge(_TOO_LARGE), None)
    headers = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
    return b"HTTP/1.1 431 Request Header Fields Too Large\r\n%bconnection: close\r\n\r\n%b" % (
        headers,
        bytes(answer.body),
    )
