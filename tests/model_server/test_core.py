"""Configurations and labels, with versions that need no model."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config import model_server_config_pb2

from model_server.core import ServerCore
from model_server.errors import ServingError, invalid_argument
from model_server.lifecycle import LifecycleManager


class Fake:
    def close(self) -> None:
        pass


def _load(_name: str, _version: int, path: Path) -> Fake:
    if (path / "corrupt").exists():
        raise invalid_argument("corrupt")
    return Fake()


@pytest.fixture
def manager() -> Iterator[LifecycleManager[Fake]]:
    made = LifecycleManager(_load, poll_seconds=0.005, max_retries=0)
    made.start()
    yield made
    assert made.stop(10)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for version in ("1", "2"):
        (tmp_path / "m" / version).mkdir(parents=True)
    return tmp_path


def _config(base: Path, labels: dict[str, int] | None = None, name: str = "m") -> Any:
    config = model_server_config_pb2.ModelServerConfig()
    model = config.model_config_list.config.add(
        name=name, base_path=str(base / name), model_platform="tensorflow"
    )
    model.model_version_policy.all.SetInParent()
    for label, version in (labels or {}).items():
        model.version_labels[label] = version
    return config


def _version(core: ServerCore[Fake], **spec: Any) -> int:
    handle = core.acquire(model_pb2.ModelSpec(name="m", **spec))
    handle.release()
    return handle.version


def _served(core: ServerCore[Fake], base: Path) -> None:
    core.reload(_config(base))
    assert core.manager.wait(lambda: len(core.manager.statuses("m")) == 2, timeout=10)
    assert core.manager.wait(
        lambda: all(s.state == 30 for s in core.manager.statuses("m").values()), timeout=10
    )


def test_a_label_moves_between_loaded_versions(manager: LifecycleManager[Fake], base: Path) -> None:
    core = ServerCore(manager)
    _served(core, base)
    for version in (1, 2, 1):
        core.reload(_config(base, {"live": version}))
        assert _version(core, version_label="live") == version


@pytest.mark.parametrize("allowed", [True, False])
def test_a_new_label_on_an_unloaded_version_needs_the_flag(
    manager: LifecycleManager[Fake], base: Path, allowed: bool
) -> None:
    core = ServerCore(manager, allow_labels_for_unavailable=allowed)
    if not allowed:
        with pytest.raises(ServingError, match="Request to assign label to version 1 of model m"):
            core.reload(_config(base, {"live": 1}))
        assert not manager.statuses("m")
        return
    core.reload(_config(base, {"live": 1}))
    with pytest.raises(ServingError, match="Request to assign label to version 7 of model m"):
        core.reload(_config(base, {"live": 7}))


def test_a_refused_configuration_changes_nothing(manager: LifecycleManager[Fake], base: Path) -> None:
    core = ServerCore(manager)
    _served(core, base)
    core.reload(_config(base, {"live": 1}))
    with pytest.raises(ServingError):
        core.reload(_config(base, {"live": 1, "next": 9}))
    with pytest.raises(ServingError, match="Unrecognized servable version label: next"):
        _version(core, version_label="next")
    assert _version(core, version_label="live") == 1


def test_an_empty_configuration_is_no_change(manager: LifecycleManager[Fake], base: Path) -> None:
    core = ServerCore(manager)
    _served(core, base)
    core.reload(model_server_config_pb2.ModelServerConfig())
    assert _version(core) == 2


def test_a_new_model_that_does_not_load_is_an_error(manager: LifecycleManager[Fake], base: Path) -> None:
    (base / "bad" / "1" / "corrupt").mkdir(parents=True)
    with pytest.raises(ServingError, match=r"Some models did not become available.*bad.*corrupt") as info:
        ServerCore(manager).reload(_config(base, name="bad"))
    assert info.value.code is grpc.StatusCode.UNKNOWN


def test_a_model_put_back_before_it_was_unloaded_is_there_at_once(base: Path) -> None:
    began, hold, at_once = threading.Event(), threading.Event(), threading.Event()
    at_once.set()

    def load(name: str, _version: int, _path: Path) -> Fake:
        if name == "slow":
            began.set()
            assert hold.wait(60)
        return Fake()

    manager = LifecycleManager(load, poll_seconds=0.005)
    manager.start()
    core = ServerCore(manager)
    _served(core, base)
    (base / "slow" / "1").mkdir(parents=True)
    slow = _config(base, name="slow")
    both = _config(base)
    both.MergeFrom(slow)
    with pytest.raises(ServingError, match="Stopped waiting"):
        core.reload(both, at_once)
    # From here on the manager's thread is busy, and does not see that the model was gone for a moment.
    assert began.wait(60)
    core.reload(slow)
    core.reload(both, at_once)
    hold.set()
    assert manager.stop(60)


def test_waiting_for_a_missing_base_path_can_be_cancelled(
    manager: LifecycleManager[Fake], base: Path
) -> None:
    cancelled = threading.Event()
    cancelled.set()
    core = ServerCore(manager)
    with pytest.raises(ServingError) as info:
        core.reload(_config(base, name="missing"), cancelled)
    assert info.value.code is grpc.StatusCode.CANCELLED
    _served(core, base)
