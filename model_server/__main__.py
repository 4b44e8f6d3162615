"""The command ``python -m model_server``."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from model_server.flags import parse_flags
from model_server.quiet import import_tensorflow_quietly


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until told to stop.

    Args:
        arguments: The command line without the program's name; None takes that of the process.

    Returns:
        The exit status: 0 after SIGTERM or SIGINT, 255 when the server could not start.
    """
    flags = parse_flags(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    import_tensorflow_quietly()
    from model_server.server import serve

    return asyncio.run(serve(flags))


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stdout.flush()
    # TensorFlow may still be inside a load in a daemon thread; the interpreter's own end would wait or crash there.
    os._exit(status)
