"""The manager with a loader that needs no model."""

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from model_server.config import ModelSource
from model_server.errors import ServingError, invalid_argument
from model_server.harness import State
from model_server.lifecycle import LifecycleManager
from model_server.versions import VersionPolicy
from tests.model_server.waiting import eventually


class Fake:
    """A servable that knows whether it was closed."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Loader:
    """Makes fakes; can be held up, and can fail."""

    def __init__(self) -> None:
        self.loaded: list[tuple[str, int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.failures: dict[int, int] = {}
        self.raises: dict[int, Exception] = {}

    def __call__(self, name: str, version: int, path: Path) -> Fake:
        assert self.gate.wait(10)
        if self.failures.get(version, 0):
            self.failures[version] -= 1
            raise invalid_argument(f"bad {path.name}")
        if version in self.raises:
            raise self.raises[version]
        self.loaded.append((name, version))
        return Fake(version)


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def manager(loader: Loader) -> Iterator[LifecycleManager[Fake]]:
    made = LifecycleManager(loader, poll_seconds=0.005, max_retries=2, retry_seconds=0.0)
    made.start()
    yield made
    loader.gate.set()
    assert made.stop(10)


def _source(base: Path, policy: VersionPolicy | None = None, name: str = "m") -> ModelSource:
    return ModelSource(name, base, policy or VersionPolicy(), {})


def _states(manager: LifecycleManager[Fake], name: str = "m") -> dict[int, State]:
    return {version: status.state for version, status in manager.statuses(name).items()}


def _await(manager: LifecycleManager[Fake], expected: dict[int, State]) -> None:
    assert manager.wait(lambda: _states(manager) == expected, timeout=10), _states(manager)


def test_the_highest_version_loads_first(
    manager: LifecycleManager[Fake], loader: Loader, tmp_path: Path
) -> None:
    for version in (1, 3, 2):
        (tmp_path / str(version)).mkdir()
    manager.set_sources([_source(tmp_path, VersionPolicy(all=True))])
    _await(manager, dict.fromkeys((3, 2, 1), State.AVAILABLE))
    assert loader.loaded == [("m", 3), ("m", 2), ("m", 1)]


def test_a_hot_swap_under_load_fails_no_request(manager: LifecycleManager[Fake], tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    manager.set_sources([_source(tmp_path)])
    _await(manager, {1: State.AVAILABLE})
    stop = threading.Event()
    served: set[int] = set()
    failures: list[object] = []

    def work() -> None:
        while not stop.is_set():
            try:
                handle = manager.acquire("m", None)
            except ServingError as error:
                failures.append(error)
                continue
            served.add(handle.servable.version)
            if handle.servable.closed:
                failures.append("closed while in use")
            handle.release()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for version in range(2, 12):
        (tmp_path / str(version)).mkdir()
        eventually(lambda version=version: version in served, f"version {version} serves")  # type: ignore[misc]
    stop.set()
    for worker in workers:
        worker.join()
    assert not failures


def test_a_version_in_use_is_not_closed(manager: LifecycleManager[Fake], tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    manager.set_sources([_source(tmp_path)])
    _await(manager, {1: State.AVAILABLE})
    handle = manager.acquire("m", 1)
    (tmp_path / "2").mkdir()
    _await(manager, {2: State.AVAILABLE, 1: State.UNLOADING})
    assert not handle.servable.closed
    with pytest.raises(ServingError, match=r"Specific\(m, 1\)"):
        manager.acquire("m", 1)
    handle.release()
    handle.release()
    _await(manager, {2: State.AVAILABLE, 1: State.END})
    assert handle.servable.closed


def test_the_older_loads_before_the_newer_unloads(
    manager: LifecycleManager[Fake], loader: Loader, tmp_path: Path
) -> None:
    for version in (1, 2):
        (tmp_path / str(version)).mkdir()
    manager.set_sources([_source(tmp_path)])
    _await(manager, {2: State.AVAILABLE})
    loader.gate.clear()
    (tmp_path / "2").rmdir()
    _await(manager, {2: State.AVAILABLE, 1: State.LOADING})
    assert manager.acquire("m", None).version == 2


def test_a_load_is_tried_again(manager: LifecycleManager[Fake], loader: Loader, tmp_path: Path) -> None:
    loader.failures[1] = 2
    (tmp_path / "1").mkdir()
    manager.set_sources([_source(tmp_path)])
    _await(manager, {1: State.AVAILABLE})


def test_a_load_that_is_given_up_ends_with_its_error(
    manager: LifecycleManager[Fake], loader: Loader, tmp_path: Path
) -> None:
    loader.failures[1] = 3
    (tmp_path / "1").mkdir()
    manager.set_sources([_source(tmp_path)])
    _await(manager, {1: State.END})
    error = manager.statuses("m")[1].error
    assert error is not None
    assert (error.code, error.message) == (grpc.StatusCode.INVALID_ARGUMENT, "bad 1")
    # The same number is not tried again, though its directory stands and other versions come.
    (tmp_path / "2").mkdir()
    _await(manager, {2: State.AVAILABLE, 1: State.END})
    assert loader.loaded == [("m", 2)]


@pytest.mark.parametrize("raised", [PermissionError(13, "Permission denied"), KeyError("nope:0")])
def test_a_load_that_fails_as_nobody_foresaw_ends_too_and_others_go_on(
    manager: LifecycleManager[Fake],
    loader: Loader,
    tmp_path: Path,
    raised: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loader.raises[1] = raised
    (tmp_path / "1").mkdir()
    manager.set_sources([_source(tmp_path)])
    _await(manager, {1: State.END})
    error = manager.statuses("m")[1].error
    assert error is not None
    assert (error.code, error.message) == (
        grpc.StatusCode.UNKNOWN,
        f"Could not load {tmp_path / '1'}: {type(raised).__name__}: {raised}",
    )
    assert "Traceback" in caplog.text
    (tmp_path / "2").mkdir()
    _await(manager, {2: State.AVAILABLE, 1: State.END})


def test_the_status_of_a_failed_load_keeps_nothing_of_it_in_memory(
    manager: LifecycleManager[Fake], loader: Loader, tmp_path: Path
) -> None:
    loader.failures[1] = 3
    (tmp_path / "1").mkdir()
    manager.set_sources([_source(tmp_path)])
    _await(manager, {1: State.END})
    error = manager.statuses("m")[1].error
    assert error is not None
    # A traceback holds the frames, and they the half-made servable: a graph and its weights.
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)


def test_a_removed_model_ends_and_an_added_one_loads(manager: LifecycleManager[Fake], tmp_path: Path) -> None:
    for name in ("m", "n"):
        (tmp_path / name / "1").mkdir(parents=True)
    manager.set_sources([_source(tmp_path / "m")])
    _await(manager, {1: State.AVAILABLE})
    manager.set_sources([_source(tmp_path / "n", name="n")])
    _await(manager, {1: State.END})
    assert manager.wait(lambda: _states(manager, "n") == {1: State.AVAILABLE}, timeout=10)


def test_a_missing_base_path_leaves_all_as_it_is(
    manager: LifecycleManager[Fake], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = tmp_path / "m"
    (base / "1").mkdir(parents=True)
    manager.set_sources([_source(base)])
    _await(manager, {1: State.AVAILABLE})
    # At once, by a rename: a tree removed file by file is for a moment a base path without versions.
    base.rename(tmp_path / "away")
    eventually(lambda: "could not find base path" in caplog.text, "the complaint")
    assert _states(manager) == {1: State.AVAILABLE}
    assert caplog.text.count("could not find base path") == 1


def test_without_polling_only_a_new_configuration_looks(loader: Loader, tmp_path: Path) -> None:
    manager = LifecycleManager(loader, poll_seconds=0)
    manager.start()
    (tmp_path / "1").mkdir()
    manager.set_sources([_source(tmp_path)])
    _await(manager, {1: State.AVAILABLE})
    (tmp_path / "2").mkdir()
    manager.set_sources([_source(tmp_path)])
    _await(manager, {2: State.AVAILABLE, 1: State.END})
    assert manager.stop(10)


def test_stopping_ends_a_wait_and_gives_up_on_a_stuck_load(loader: Loader, tmp_path: Path) -> None:
    manager = LifecycleManager(loader)
    manager.start()
    loader.gate.clear()
    (tmp_path / "1").mkdir()
    manager.set_sources([_source(tmp_path)])
    _await(manager, {1: State.LOADING})
    assert not manager.stop(0.01)
    assert not manager.wait(lambda: False)
    loader.gate.set()
    assert manager.stop(10)
