"""One version of one model on its way from START to END, and the references that keep it loaded."""

import threading
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from model_server.errors import ServingError


class State(IntEnum):
    """The states of ``tensorflow.serving.ModelVersionStatus.State``, with its numbers."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class Closable(Protocol):
    """Anything that can be served: a SavedModel, or a stand-in for one in tests."""

    def close(self) -> None:
        """Frees what it holds. Nobody uses it any more when this is called."""


@dataclass(frozen=True)
class VersionStatus:
    """What GetModelStatus tells about a version.

    Attributes:
        state: Where it is.
        error: Why it ended, for a failed load.
        sequence: Rises with every change of any version, so that a waiter can tell old news from new.
    """

    state: State
    error: ServingError | None
    sequence: int


class Harness:
    """A version under management. All fields are guarded by the manager's lock.

    Attributes:
        name: The model.
        version: The version number.
        path: Its directory.
        state: Where it is.
        aspired: Whether it is wanted now.
        failed: Whether its load was given up.
        servable: What answers, while loaded.
        users: How many handles are out.
    """

    def __init__(self, name: str, version: int, path: Path) -> None:
        self.name = name
        self.version = version
        self.path = path
        self.state = State.START
        self.aspired = True
        self.failed = False
        self.servable: Closable | None = None
        self.users = 0

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


S = TypeVar("S", bound=Closable)


class Handle(Generic[S]):
    """A reference to a loaded version: it stays loaded until the handle is released."""

    def __init__(self, harness: Harness, servable: S, lock: threading.Condition) -> None:
        self._harness = harness
        self._lock = lock
        self._released = False
        self.servable = servable
        self.version = harness.version

    def release(self) -> None:
        """Gives the reference back. Doing so twice is harmless."""
        with self._lock:
            if self._released:
                return
            self._released = True
            self._harness.users -= 1
            if self._harness.state is State.UNLOADING and not self._harness.users:
                self._lock.notify_all()
