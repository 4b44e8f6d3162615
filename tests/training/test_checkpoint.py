from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.checkpoint import Checkpoint, Progress
from training.errors import TrainingError

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


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(TrainingError, match=r"c\.npz is no checkpoint"):
        Checkpoint(tmp_path / "c.npz", {}).load()


def test_a_full_disk_costs_nothing_that_was_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "c.npz", {})
    checkpoint.save(Progress(1), ARRAYS)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.checkpoint.np.savez", full)
    with pytest.raises(TrainingError, match=r"No space left on device.*after 1 epochs is kept"):
        checkpoint.save(Progress(2), ARRAYS)
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded[0].epochs_done == 1
    assert [child.name for child in tmp_path.iterdir()] == ["c.npz"]
