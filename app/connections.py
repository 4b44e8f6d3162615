"""How many connections are open, and how long one may be open without asking for anything."""

from asyncio import AbstractEventLoop, TimerHandle, Transport
from itertools import chain
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.metrics.recorder import Recorder

_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
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


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with its connections counted and its patience for a request's head bounded.

    uvicorn itself waits for ever for the first byte, and for the rest of a head. Needs the `Services` in the app's
    lifespan state, for its bounds.
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
        super().data_received(data)
        # A head that came in at once, as most do, never needed a timer.
        if self._awaits_head and self._head_timer is None and not self.transport.is_closing():
            self._start_timer()

    def on_message_begin(self) -> None:
        """See `HttpToolsProtocol`."""
        self._awaits_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        self._awaits_head = False
        self._stop_timer()
        self._all.busy(self)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._all.idle(self)

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
