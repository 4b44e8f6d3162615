"""What stands before several gateways."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from tests.support.gateway_process import GatewayProcess


class Balancer:
    """Sends requests to the gateways in turn, and looks every so often which of them are ready.

    It never sends a request twice, so that every one that a gateway loses is seen.

    Args:
        gateways: Where requests may go; may change.
        seconds: Between two looks.
    """

    def __init__(self, gateways: list[GatewayProcess], seconds: float) -> None:
        self.gateways = gateways
        self._seconds = seconds
        self._ready: list[GatewayProcess] = []
        self._turn = 0
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.look()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    def choose(self) -> GatewayProcess:
        """Give the gateway for the next request."""
        self._turn += 1
        return self._ready[self._turn % len(self._ready)]

    async def look(self) -> None:
        """Ask every gateway whether it is ready."""
        known = list(self.gateways)
        answers = await asyncio.gather(*(gateway.ready() for gateway in known))
        self._ready = [gateway for gateway, ready in zip(known, answers, strict=True) if ready]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await self.look()
