"""How the process asks the system for memory."""

import ctypes
from typing import Final

# Parameters of glibc's mallopt(3), from malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

_MB: Final = 1 << 20
_CHOSEN: Final = (
    # One heap for all threads: what one has freed the next can use. They seldom meet there.
    (_M_ARENA_MAX, 1),
    # What is larger is given back at once, and fetched anew for the next one.
    (_M_MMAP_THRESHOLD, 8 * _MB),
    # So much free memory is kept at the end of the heap, and so much more is fetched than is asked for.
    (_M_TRIM_THRESHOLD, 32 * _MB),
    (_M_TOP_PAD, 4 * _MB),
)


def keep_freed_memory() -> bool:
    """Let glibc keep some freed memory, for the next picture needs as much again.

    By default it gives every block of more than 128 kB back to the system when it is freed, and threads' heaps are
    trimmed likewise. The next picture then gets new pages, each of which the kernel has to clear and map when it is
    first touched: a fifth of all the CPU time that a picture of 1280 × 960 took (docs/speed.md).

    Returns:
        Whether it was done; other C libraries have no such settings.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    taken = [mallopt(parameter, value) == 1 for parameter, value in _CHOSEN]
    return all(taken)
