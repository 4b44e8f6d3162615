"""The first part of a stop: say that we are going, and answer on until everybody has heard."""

import logging
import signal
import threading
from asyncio import get_running_loop
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_log = logging.getLogger(__name__)


class Draining:
    """Whether this process is on its way out.

    Attributes:
        begun: From the first SIGTERM on. Requests are still answered; whoever asks whether the gateway is ready is
            told that it is not, and every answer ends its connection, so that the next request goes elsewhere.
    """

    def __init__(self) -> None:
        self.begun = False


@contextmanager
def drain_on_sigterm(draining: Draining, seconds: float) -> Iterator[None]:
    """Hold back SIGTERM from the server around us for so long, and let `draining` begin at once.

    Load balancers notice with some delay that a server has gone, and until then they send requests, which must not
    find a closed port. A second SIGTERM ends the wait. SIGINT is left alone: who presses Ctrl+C wants to see an end.

    Where no server listens for SIGTERM, or outside the main thread, nothing is done. Needs a running event loop.

    Args:
        draining: Is told.
        seconds: How long the server hears nothing of it.
    """
    server = signal.getsignal(signal.SIGTERM) if _in_main_thread() else None
    if not callable(server):
        yield
        return
    stop = server
    loop = get_running_loop()

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        if draining.begun or seconds == 0:
            draining.begun = True
            stop(number, frame)
            return
        draining.begun = True
        loop.call_soon_threadsafe(loop.call_later, seconds, stop, number, None)
        loop.call_soon_threadsafe(_log.info, "not ready any more; stopping in %g seconds", seconds)

    signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, stop)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
