"""How many files, connections among them, this process may open."""

import logging
import sys
from typing import Final

# Calls to the model server, connections that are just being closed, libraries, logs.
_OTHERS: Final = 512

_log = logging.getLogger(__name__)


def allow_open_files(connections: int) -> None:
    """Raise the soft limit of open files as far as so many connections need, and warn where the hard one is below.

    The usual soft limit of 1,024 is there for programs that call select(), which cannot take more. This is none.
    Worker processes inherit it.
    """
    if sys.platform == "win32":
        return
    import resource

    needed = connections + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    within = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (within, hard))
    if within < needed:
        _log.warning(
            "the limit of open files is %d, too few for %d connections: raise it (ulimit -n), or lower "
            "SPORTVISION_MAX_CONNECTIONS",
            within,
            connections,
        )
