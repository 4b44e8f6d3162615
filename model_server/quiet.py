"""Importing TensorFlow without its remarks."""

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _stderr_discarded() -> Iterator[None]:
    # The remarks are written by C++ before its logging can be set up, so only the file descriptor can stop them.
    kept = os.dup(2)
    discard = os.open(os.devnull, os.O_WRONLY)
    os.dup2(discard, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(discard)


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow, hushed, for the rest of the process.

    Its errors still arrive as exceptions. ``TF_CPP_MIN_LOG_LEVEL`` in the environment overrules the silence of what
    it logs later; what it says during the import is lost, but for a failure.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_discarded():
        importlib.import_module("tensorflow")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
