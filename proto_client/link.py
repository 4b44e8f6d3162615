"""The channel in use, and its exchange for a new one when addresses or certificates have changed."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from proto_client.channel import ChannelSettings, open_channel
from proto_client.targets import Targets
from proto_client.tls import TlsError, TlsFiles

__all__ = ["Invoke", "Link", "UnresolvedError"]

Invoke: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"

# Calls on the old channel may end by themselves; none takes longer than this.
_OLD_CHANNEL_SECONDS = 120.0

_log = logging.getLogger(__name__)


class UnresolvedError(Exception):
    """None of the names in the list of servers can be looked up."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found: the target for gRPC, and the state of the files of TLS."""

    target: str
    stamp: tuple[tuple[int, int, int] | None, ...]


class Link:
    """Holds one channel, and looks every so often, while there are calls, whether another is needed.

    gRPC itself looks up a DNS name anew, when a connection ends; that needs nothing here. It does not do so for a
    list of names, and never reads certificates twice.

    Args:
        targets: Where the servers are.
        settings: The channel's limits and times.
        credentials: For TLS with what is made already.
        tls: For TLS with files.
        clock: Seconds that only grow.

    Raises:
        TlsError: The files cannot be used.
    """

    def __init__(
        self,
        targets: Targets,
        settings: ChannelSettings,
        *,
        credentials: grpc.ChannelCredentials | None,
        tls: TlsFiles | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._targets = targets
        self._settings = settings
        self._credentials = credentials
        self._tls = tls
        self._clock = clock
        self._channel: grpc.aio.Channel | None = None
        self._invokes: dict[str, Invoke] = {}
        self._found: _Look | None = None
        self._looking: asyncio.Task[None] | None = None
        self._old: dict[grpc.aio.Channel, asyncio.Task[None]] = {}
        if tls is not None:
            self._credentials = tls.credentials()
        # Without this, nothing ever changes.
        self._looks = tls is not None or targets.fixed is None
        self._next_look = clock() + settings.look_seconds
        if targets.fixed is not None:
            self._open(_Look(targets.fixed, tls.stamp() if tls else ()))

    async def ready(self, seconds: float) -> None:
        """Look, if it is time to; wait for that only where there is no channel yet, and for so many seconds at most.

        Raises:
            TimeoutError: It takes longer. It goes on, for the next call.
        """
        if not self._looks or (self._channel is not None and self._clock() < self._next_look):
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name=f"look for {self._targets.text}")
        if self._channel is not None:
            return
        looking = self._looking
        # A caller who goes away does not end it for the others.
        done, _ = await asyncio.wait([looking], timeout=seconds)
        if not done:
            raise TimeoutError
        # Closing has cancelled it; the call will see.
        if not looking.cancelled():
            looking.result()

    def invoke(self, path: str) -> Invoke:
        """Return the callable for a gRPC method; be `ready` first.

        Raises:
            UnresolvedError: There is no address yet.
        """
        found = self._invokes.get(path)
        if found is None:
            if self._channel is None:
                raise UnresolvedError(f"None of the names in {self._targets.text} can be looked up.")
            found = self._invokes[path] = self._channel.unary_unary(path)
        return found

    async def close(self, grace: float | None) -> None:
        """Close all channels."""
        tasks = [*self._old.values(), *([] if self._looking is None else [self._looking])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        channels = [*self._old, *([] if self._channel is None else [self._channel])]
        await asyncio.gather(*(channel.close(grace) for channel in channels))

    async def _look(self) -> None:
        # At once, so that no other call starts a second look when this one has found nothing.
        self._next_look = self._clock() + self._settings.look_seconds
        try:
            found = await asyncio.to_thread(self._find)
            if found == self._found:
                return
            if self._tls is not None and (self._found is None or found.stamp != self._found.stamp):
                self._credentials = await asyncio.to_thread(self._tls.credentials)
        except (OSError, TlsError) as error:
            # The old addresses and certificates may well do for some time yet.
            _log.warning("%s: %s", self._targets.text, error)
            return
        if self._found is not None:
            _log.info(
                "%s: addresses or certificates have changed; a new channel is opened", self._targets.text
            )
        self._open(found)

    def _find(self) -> _Look:
        return _Look(self._targets.resolve(), self._tls.stamp() if self._tls else ())

    def _open(self, found: _Look) -> None:
        old = self._channel
        server_name = self._tls.server_name if self._tls else None
        self._channel = open_channel(found.target, self._settings, self._credentials, server_name=server_name)
        self._found = found
        self._invokes = {}
        if old is not None:
            closing = asyncio.create_task(self._retire(old))
            self._old[old] = closing

    async def _retire(self, channel: grpc.aio.Channel) -> None:
        await channel.close(_OLD_CHANNEL_SECONDS)
        self._old.pop(channel, None)
