"""Runs uvicorn with more than one hand at the door."""

import sys
from typing import Final

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

# uvloop (libuv) accepts one connection for each listening socket in a turn of its event loop. Where a busy machine
# lets the process have a hundred turns a second, a hundred new connections a second are accepted and no more, and
# callers wait in the system's queue for seconds while the gateway would have time to answer them. So the one socket
# is watched under several descriptors, each of which accepts one a turn. asyncio's own loop takes all at once.
_ACCEPTED_A_TURN: Final = 16


def serve(config: Config) -> None:
    """Serve until told to stop, in this process or in as many workers as the configuration says.

    Exits with uvicorn's status 3 where the port is taken or the app does not start.
    """
    first = config.bind_socket()
    sockets = [first, *(first.dup() for _ in range(_ACCEPTED_A_TURN - 1))]
    if config.workers > 1:
        Multiprocess(config, sockets=sockets).run()
        return
    server = Server(config)
    try:
        server.run(sockets=sockets)
    except KeyboardInterrupt:
        # It has stopped in good order; Python only tells that Ctrl+C was why.
        return
    if not server.started:
        sys.exit(STARTUP_FAILURE)
