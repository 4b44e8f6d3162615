"""Lets several worker processes of one gateway show their metrics as one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from app.metrics.prometheus import FOLDER_VARIABLE


@contextmanager
def shared_metrics(workers: int) -> Iterator[None]:
    """Have the workers that are started in this block keep their measurements where each sees those of all.

    A scrape is answered by whichever worker takes the connection; without this it would show that one's share, a
    different one each time. The files are small, live as long as the gateway does, and lie in the system's folder
    for temporary files, which must be writable.

    Args:
        workers: How many there will be; for one nothing is done.
    """
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="sportvision-metrics-") as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]
