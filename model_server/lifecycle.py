"""Loading and unloading versions while others answer: the manager of TensorFlow Serving in one thread.

The rules are those of its ``AspiredVersionsManager`` with the ``AvailabilityPreservingPolicy`` and no load threads:
one change at a time; a version that is no longer wanted keeps answering until a wanted one is available; among the
wanted ones the highest number loads first; a failed load is tried again in place, so every other change waits.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic

import grpc

from model_server.config import ModelSource
from model_server.errors import ServingError, not_found
from model_server.harness import Handle, Harness, S, State, VersionStatus
from model_server.versions import find_versions

_LOG: Final = logging.getLogger(__name__)


class LifecycleManager(Generic[S]):
    """Keeps the loaded versions in step with the file system and the configuration.

    Args:
        loader: Makes a servable of (model, version, directory), or raises ServingError; whatever else it raises is
            a failed load too, and logged with its traceback. Called in the manager's thread.
        poll_seconds: Time between looks at the file system; 0 looks only when the configuration changes, negative
            never looks.
        max_retries: Further tries after a failed load.
        retry_seconds: Time between tries.
    """

    def __init__(
        self,
        loader: Callable[[str, int, Path], S],
        *,
        poll_seconds: float = 1.0,
        max_retries: int = 5,
        retry_seconds: float = 60.0,
    ) -> None:
        self._loader = loader
        self._poll_seconds = poll_seconds
        self._max_retries = max_retries
        self._retry_seconds = retry_seconds
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._sources: dict[str, ModelSource] = {}
        self._sources_changed = False
        self._harnesses: dict[tuple[str, int], Harness] = {}
        self._statuses: dict[str, dict[int, VersionStatus]] = {}
        self._sequence = 0
        self._complaints: dict[str, str] = {}
        # A daemon, because a load inside TensorFlow cannot be interrupted and must not hold up the process's end.
        self._thread = threading.Thread(target=self._run, name="lifecycle", daemon=True)

    def start(self) -> None:
        """Starts the manager's thread."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Ends the manager's thread and unloads everything.

        Args:
            timeout: Seconds to wait for a load that is under way.

        Returns:
            Whether the thread has ended; if not, nothing was unloaded.
        """
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
            if self._thread.is_alive():
                return False
        with self._changed:
            idle = [h for h in self._harnesses.values() if h.servable and not h.users]
        for harness in idle:
            self._close(harness)
        return True

    def set_sources(self, sources: Sequence[ModelSource]) -> int:
        """Replaces the models to serve.

        Args:
            sources: All of them; a model that is not among them is unloaded.

        Returns:
            The sequence number of the last change before this one.
        """
        with self._changed:
            self._sources = {source.name: source for source in sources}
            self._sources_changed = True
            self._changed.notify_all()
            return self._sequence

    def acquire(self, name: str, version: int | None) -> Handle[S]:
        """Takes a reference to a loaded version.

        Args:
            name: The model.
            version: The version number, or None for the highest that is available.

        Returns:
            A handle, to be released.

        Raises:
            ServingError: NOT_FOUND when it is not available.
        """
        with self._changed:
            available = [
                harness
                for harness in self._harnesses.values()
                if harness.name == name
                and harness.state is State.AVAILABLE
                and (version is None or harness.version == version)
            ]
            if not available:
                wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise not_found(f"Servable not found for request: {wanted}")
            harness = max(available, key=lambda h: h.version)
            harness.users += 1
            # Only the loader of this very manager fills the field.
            servable: S = harness.servable  # type: ignore[assignment]
            return Handle(harness, servable, self._changed)

    def statuses(self, name: str) -> dict[int, VersionStatus]:
        """Gives the status of every version that was ever seen of a model, highest first."""
        with self._changed:
            return dict(sorted(self._statuses.get(name, {}).items(), reverse=True))

    def wait(
        self,
        condition: Callable[[], bool],
        *,
        timeout: float | None = None,
        cancelled: threading.Event | None = None,
    ) -> bool:
        """Waits until a condition on the statuses holds.

        Args:
            condition: Looked at after every change.
            timeout: Seconds at most; None waits for ever.
            cancelled: Ends the wait when set (within a tenth of a second).

        Returns:
            Whether the condition holds. False also when the manager stops.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not condition():
                left = 0.1 if end is None else min(0.1, end - time.monotonic())
                if self._stopping.is_set() or left <= 0 or (cancelled is not None and cancelled.is_set()):
                    return False
                self._changed.wait(left)
            return True

    def _run(self) -> None:
        next_poll = float("inf")
        while not self._stopping.is_set():
            with self._changed:
                due, self._sources_changed = self._sources_changed, False
            if (due and self._poll_seconds >= 0) or time.monotonic() >= next_poll:
                self._poll()
                if self._poll_seconds > 0:
                    next_poll = time.monotonic() + self._poll_seconds
            if self._step():
                continue
            with self._changed:
                if not self._sources_changed and not self._closable() and not self._stopping.is_set():
                    left = next_poll - time.monotonic()
                    self._changed.wait(None if left == float("inf") else max(left, 0))

    def _poll(self) -> None:
        with self._changed:
            sources = list(self._sources.values())
        found = {source.name: self._look(source) for source in sources}
        with self._changed:
            for harness in self._harnesses.values():
                versions = found.get(harness.name, {})
                # None: the base path could not be read, so what was wanted before is still wanted.
                if versions is not None and harness.state is not State.UNLOADING:
                    harness.aspired = harness.version in versions
            self._harnesses = {k: h for k, h in self._harnesses.items() if h.aspired or not h.failed}
            for name, versions in found.items():
                for version, path in (versions or {}).items():
                    if (name, version) not in self._harnesses:
                        self._harnesses[name, version] = harness = Harness(name, version, path)
                        self._set_state(harness, State.START)

    def _look(self, source: ModelSource) -> dict[int, Path] | None:
        try:
            found = find_versions(source.base_path)
        except OSError as error:
            self._complain(
                source.name,
                f"could not find base path {source.base_path} for {source.name}: {error.strerror}",
            )
            return None
        chosen = source.policy.choose(found)
        if chosen:
            self._complaints.pop(source.name, None)
        else:
            self._complain(source.name, f"no versions of {source.name} to serve under {source.base_path}")
        return {version: found[version] for version in chosen}

    def _complain(self, name: str, message: str) -> None:
        """Logs what is wrong with a model's directory once, not at every look."""
        if self._complaints.get(name) != message:
            self._complaints[name] = message
            _LOG.error(message)

    def _step(self) -> bool:
        """Makes one change. Returns whether there was one to make."""
        with self._changed:
            harness = self._closable() or self._next_unload() or self._next_load()
        if harness is None:
            return False
        if harness.state is State.UNLOADING:
            self._close(harness)
        elif harness.state is State.AVAILABLE:
            with self._changed:
                self._set_state(harness, State.UNLOADING)
        else:
            self._load(harness)
        return True

    def _closable(self) -> Harness | None:
        return next((h for h in self._harnesses.values() if h.state is State.UNLOADING and not h.users), None)

    def _next_unload(self) -> Harness | None:
        """The lowest unwanted version whose model has a wanted one available, or has none wanted at all."""
        harnesses = sorted(self._harnesses.values(), key=lambda h: (h.name, h.version))
        wanted = {h.name for h in harnesses if h.aspired}
        served = {h.name for h in harnesses if h.aspired and h.state is State.AVAILABLE}
        for harness in harnesses:
            if not harness.aspired and (harness.name in served or harness.name not in wanted):
                if harness.state is State.AVAILABLE:
                    return harness
                if harness.state is State.START:
                    # Unwanted before it was ever loaded: it ends without having been.
                    self._set_state(harness, State.UNLOADING)
                    return harness
        return None

    def _next_load(self) -> Harness | None:
        waiting = [h for h in self._harnesses.values() if h.aspired and h.state is State.START]
        return min(waiting, key=lambda h: (h.name, -h.version), default=None)

    def _load(self, harness: Harness) -> None:
        with self._changed:
            self._set_state(harness, State.LOADING)
        began = time.monotonic()
        for retries_left in range(self._max_retries, -1, -1):
            try:
                servable = self._loader(harness.name, harness.version, harness.path)
            except ServingError as error:
                # Made anew, as it is kept for good: the one raised holds the frames, and they what was loaded so far.
                failure = ServingError(error.code, error.message)
                _LOG.error("loading %s failed, %d retries left: %s", harness, retries_left, error.message)
            except Exception as error:  # noqa: BLE001 - it is logged, and every other version needs this thread
                text = f"Could not load {harness.path}: {type(error).__name__}: {error}"
                failure = ServingError(grpc.StatusCode.UNKNOWN, text)
                _LOG.exception("loading %s failed, %d retries left", harness, retries_left)
            else:
                with self._changed:
                    harness.servable = servable
                    self._set_state(harness, State.AVAILABLE)
                _LOG.info("loaded %s in %.2f s from %s", harness, time.monotonic() - began, harness.path)
                return
            if retries_left and self._stopping.wait(max(self._retry_seconds, 0)):
                break
        with self._changed:
            harness.failed = True
            self._set_state(harness, State.END, failure)

    def _close(self, harness: Harness) -> None:
        if harness.servable is not None:
            harness.servable.close()
            _LOG.info("unloaded %s", harness)
        with self._changed:
            harness.servable = None
            del self._harnesses[harness.name, harness.version]
            self._set_state(harness, State.END)

    def _set_state(self, harness: Harness, state: State, error: ServingError | None = None) -> None:
        harness.state = state
        self._sequence += 1
        self._statuses.setdefault(harness.name, {})[harness.version] = VersionStatus(
            state, error, self._sequence
        )
        self._changed.notify_all()
