"""Waiting for what another thread does."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Polls until a condition holds; fails after a deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.002)
