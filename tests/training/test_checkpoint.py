import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.checkpoint import Checkpoint, Progress
from training.errors import TrainingError

ROOT = Path(__file__).resolve().parents[2]
ARRAYS: dict[str, list[NDArray[Any]]] = {
    "weights": [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1.5], np.float32)],
    "seeds": [np.array([7, 8], np.uint32)],
    "optimizer": [np.array(3, np.int64)],
}


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c.npz", {"settings": {"epochs": 3}})
    assert checkpoint.load() is None
    progress = Progress(2, 1, [{"epoch": 0}, {"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 1 / 3}])
    checkpoint.save(Progress(1), ARRAYS)
    checkpoint.save(progress, ARRAYS)
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded[0] == progress
    assert loaded[1].keys() == ARRAYS.keys()
    for name, arrays in ARRAYS.items():
        for before, after in zip(arrays, loaded[1][name], strict=True):
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before, after)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c.npz", {"settings": 1, "data": "a"}).save(Progress(), ARRAYS)
    with pytest.raises(TrainingError, match=r"another training \(different: data\)"):
        Checkpoint(tmp_path / "c.npz", {"settings": 1, "data": "b"}).load()


def test_a_checkpoint_of_before_a_key_was_known_is_not_refused_for_it(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c.npz", {"data": "a"}).save(Progress(1), ARRAYS)
    assert Checkpoint(tmp_path / "c.npz", {"data": "a", "values": "b"}, newer=["values"]).load() is not None
    Checkpoint(tmp_path / "c.npz", {"data": "a", "values": "c"}).save(Progress(1), ARRAYS)
    with pytest.raises(TrainingError, match=r"different: values"):
        Checkpoint(tmp_path / "c.npz", {"data": "a", "values": "b"}, newer=["values"]).load()


def test_a_damaged_checkpoint_is_named_wherever_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    Checkpoint(path, {}).save(Progress(1), ARRAYS)
    whole = path.read_bytes()
    for length in (0, 1, 4, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(TrainingError, match=r"c\.npz is no checkpoint: .+ Remove it to start anew"):
            Checkpoint(path, {}).load()
    path.write_bytes(whole.replace(b"\0\0\xc0?", b"\0\0\xc0@"))
    with pytest.raises(TrainingError, match="Bad CRC"):
        Checkpoint(path, {}).load()


def test_a_checkpoint_of_another_version_of_this_code_is_refused(tmp_path: Path) -> None:
    state = json.dumps({"identity": {}, "progress": {"epochs_done": 1, "mood": "good"}})
    np.savez(tmp_path / "c.npz", state=np.array(state))
    with pytest.raises(TrainingError, match=r"no checkpoint: .*mood"):
        Checkpoint(tmp_path / "c.npz", {}).load()


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system itself refuses what is written beyond, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def assert_only_the_first_is_there(folder: Path, checkpoint: Checkpoint) -> None:
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded[0].epochs_done == 1
    for name, arrays in ARRAYS.items():
        for before, after in zip(arrays, loaded[1][name], strict=True):
            np.testing.assert_array_equal(before, after)
    assert [child.name for child in folder.iterdir()] == ["c.npz"]


@pytest.mark.parametrize("room", [0, 700, 10_000])
def test_a_disk_that_fills_up_costs_nothing_that_was_reached(tmp_path: Path, room: int) -> None:
    checkpoint = Checkpoint(tmp_path / "c.npz", {})
    checkpoint.save(Progress(1), ARRAYS)
    large = {"weights": [np.ones(500, np.float32) for _ in range(8)]}
    with (
        files_of_at_most(room),
        pytest.raises(
            TrainingError, match=r"c\.npz cannot be written: File too large\..*after 1 epochs is kept"
        ),
    ):
        checkpoint.save(Progress(2), large)
    assert_only_the_first_is_there(tmp_path, checkpoint)
    checkpoint.save(Progress(2), large)
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded[0].epochs_done == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_called_so(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c.npz", {})
    checkpoint.save(Progress(1), ARRAYS)
    (tmp_path / ".c.npz.draft").symlink_to("/dev/full")
    with pytest.raises(TrainingError, match=r"No space left on device.*make room and start the same command"):
        checkpoint.save(Progress(2), ARRAYS)
    assert_only_the_first_is_there(tmp_path, checkpoint)


_KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from training.checkpoint import Checkpoint, Progress

class Deadly:
    def __array__(self, *_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

Checkpoint(Path(sys.argv[1]), {}).save(Progress(2), {"weights": [np.ones(100_000), Deadly()]})
"""


def test_a_process_that_is_killed_while_writing_leaves_the_state_before(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    checkpoint = Checkpoint(path, {})
    checkpoint.save(Progress(1), ARRAYS)
    # JAX, as it starts faster; nothing is computed.
    dead = subprocess.run(
        [sys.executable, "-c", _KILLED, str(path)],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        check=False,
        timeout=120,
    )
    assert dead.returncode == -signal.SIGKILL
    draft = tmp_path / ".c.npz.draft"
    assert draft.stat().st_size > 100_000, "it was writing"
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded[0].epochs_done == 1
    checkpoint.save(Progress(1), ARRAYS)
    assert not draft.exists()
    assert_only_the_first_is_there(tmp_path, checkpoint)
