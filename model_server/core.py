"""The configuration in force: which models are served, and which version each label means."""

import logging
import threading
from collections.abc import Sequence
from typing import Any, Final, Generic

import grpc

from model_server.config import ModelSource, model_sources
from model_server.errors import ServingError, failed_precondition, invalid_argument
from model_server.harness import Handle, S, State
from model_server.lifecycle import LifecycleManager

_LOG: Final = logging.getLogger(__name__)


class ServerCore(Generic[S]):
    """Applies configurations and finds the version that a request means.

    Args:
        manager: Loads and unloads; the core does not start or stop it.
        base_path_map: Pairs of (prefix, local directory) for the base paths.
        allow_labels_for_unavailable: A label that is new may name a version that is not loaded.
    """

    def __init__(
        self,
        manager: LifecycleManager[S],
        *,
        base_path_map: Sequence[tuple[str, str]] = (),
        allow_labels_for_unavailable: bool = False,
    ) -> None:
        self.manager = manager
        self._base_path_map = tuple(base_path_map)
        self._allow_labels_for_unavailable = allow_labels_for_unavailable
        self._reloading = threading.Lock()
        self._labels: dict[str, dict[str, int]] = {}
        self._models: frozenset[str] = frozenset()

    def reload(self, config: Any, cancelled: threading.Event | None = None) -> None:
        """Applies a configuration and waits until every model that is new in it has loaded.

        As in TF Serving the labels are moved first: a label can only name a version that is loaded already.

        Args:
            config: A ``tensorflow.serving.ModelServerConfig``; an empty one changes nothing.
            cancelled: Ends the wait (not the loading) when set.

        Raises:
            ServingError: INVALID_ARGUMENT or FAILED_PRECONDITION for a configuration that cannot be applied (it
                then changes nothing), UNKNOWN when a new model did not become available, CANCELLED.
        """
        with self._reloading:
            if config.WhichOneof("config") is None:
                _LOG.info("taking no action for an empty configuration")
                return
            sources = model_sources(config, self._base_path_map)
            self._labels = {source.name: self._checked_labels(source) for source in sources}
            new = {source.name for source in sources} - self._models
            self._models = frozenset(source.name for source in sources)
            before = self.manager.set_sources(sources)
        self._await_models(new, before, cancelled)

    def acquire(self, spec: Any) -> Handle[S]:
        """Takes a reference to the version that a ``ModelSpec`` means.

        Args:
            spec: A ``tensorflow.serving.ModelSpec``.

        Returns:
            A handle, to be released.

        Raises:
            ServingError: INVALID_ARGUMENT for no name or an unknown label, NOT_FOUND for what is not loaded.
        """
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        version: int | None = None
        if choice == "version":
            version = spec.version.value
        elif choice == "version_label":
            version = self._labels.get(spec.name, {}).get(spec.version_label)
            if version is None:
                raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
        return self.manager.acquire(spec.name, version)

    def _checked_labels(self, source: ModelSource) -> dict[str, int]:
        now = self._labels.get(source.name, {})
        statuses = self.manager.statuses(source.name)
        for label, version in source.labels.items():
            moves = label in now and now[label] != version
            if self._allow_labels_for_unavailable and not moves:
                continue
            if version not in statuses or statuses[version].state is not State.AVAILABLE:
                raise failed_precondition(
                    f"Request to assign label to version {version} of model {source.name}, "
                    "which is not currently available for inference"
                )
        return source.labels

    def _await_models(self, names: set[str], before: int, cancelled: threading.Event | None) -> None:
        def settled() -> bool:
            return all(self._settled_state(name, before) is not None for name in names)

        if not self.manager.wait(settled, cancelled=cancelled):
            raise ServingError(grpc.StatusCode.CANCELLED, "Stopped waiting for models to load")
        failed = sorted(name for name in names if self._settled_state(name, before) is State.END)
        if failed:
            details = ", ".join(self._describe(name) for name in failed)
            raise ServingError(
                grpc.StatusCode.UNKNOWN, f"Some models did not become available: {{{details}}}"
            )

    def _settled_state(self, name: str, before: int) -> State | None:
        """AVAILABLE when a version is, END once one has ended since `before` instead, None while neither is so."""
        statuses = self.manager.statuses(name).values()
        # Whenever that was: a model that is put back before it was unloaded does not load anew.
        if any(status.state is State.AVAILABLE for status in statuses):
            return State.AVAILABLE
        ended = any(status.state is State.END and status.sequence > before for status in statuses)
        return State.END if ended else None

    def _describe(self, name: str) -> str:
        for version, status in self.manager.statuses(name).items():
            if status.error is not None:
                return f"{{name: {name} version: {version}}} due to error: {status.error.message}"
        return f"{{name: {name}}}"
