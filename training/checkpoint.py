"""The state of a fine-tuning between two epochs, on disk: complete or not there at all."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arrays import read_arrays, write_arrays
from training.distribution import from_first, is_first
from training.errors import TrainingError

_NONE = b"none yet"


@dataclass(slots=True)
class Progress:
    """How far a fine-tuning has come.

    Attributes:
        epochs_done: Passes finished.
        best_epoch: The pass, counted from 1, whose averaged weights are kept; 0 before the first.
        history: A row for each pass.
    """

    epochs_done: int = 0
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


#: What a checkpoint holds: how far the training has come, and lists of arrays by name.
Saved = tuple[Progress, dict[str, list[NDArray[Any]]]]


class Checkpoint:
    """One file with the numbers of a training, its progress and what it is a training of.

    Of several processes that train together, the first one writes it, and reads it for all.
    """

    def __init__(self, path: Path, identity: dict[str, Any], *, newer: Collection[str] = ()) -> None:
        """Name a checkpoint.

        Args:
            path: The file.
            identity: Settings and data as plain values; a checkpoint of another training is refused.
            newer: Keys of it that checkpoints of earlier versions of this code lack, and are not refused for.
        """
        self._path = path
        self._newer = frozenset(newer)
        self._identity = json.loads(json.dumps(identity))

    def save(self, progress: Progress, arrays: dict[str, list[NDArray[Any]]]) -> None:
        """Write the state, in place of the last one.

        Args:
            progress: How far the training has come.
            arrays: Lists of arrays by name.

        Raises:
            TrainingError: It cannot be written; the last state is still there.
        """
        if not is_first():
            return
        flat = {f"{name}.{n}": array for name, parts in arrays.items() for n, array in enumerate(parts)}
        state = json.dumps({"identity": self._identity, "progress": asdict(progress)})
        try:
            write_arrays(self._path, {"state": np.array(state), **flat})
        except OSError as error:
            raise TrainingError(
                f"The checkpoint {self._path} cannot be written: {error.strerror}. What was reached after "
                f"{progress.epochs_done - 1} epochs is kept: make room and start the same command again."
            ) from error

    def load(self) -> Saved | None:
        """Read the state; None where there is none yet.

        Raises:
            TrainingError: The file is of another training, or damaged; or another process of this training was
                started with other settings or data.
        """
        if json.loads(from_first(json.dumps(self._identity).encode())) != self._identity:
            raise TrainingError(
                "This process has other settings or data than the first one. Start all with the same."
            )
        try:
            data = self._path.read_bytes() if is_first() and self._path.exists() else _NONE
            data = from_first(data)
            if data == _NONE:
                return None
            identity, progress, arrays = _parsed(data)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{self._path} is no checkpoint: {error}. Remove it to start anew."
            ) from error
        identity |= {key: self._identity[key] for key in self._newer - identity.keys()}
        if identity != self._identity:
            changed = sorted(key for key in self._identity if identity.get(key) != self._identity[key])
            raise TrainingError(
                f"{self._path} is of another training (different: {', '.join(changed)}). "
                "Give another run folder, or remove the file to start anew."
            )
        return progress, arrays


def _parsed(data: bytes) -> tuple[dict[str, Any], Progress, dict[str, list[NDArray[Any]]]]:
    arrays: dict[str, list[NDArray[Any]]] = {}
    saved = read_arrays(data)
    state = json.loads(str(saved["state"]))
    for key, array in saved.items():
        name, _, number = key.partition(".")
        if number:
            arrays.setdefault(name, []).append(array)
    return dict(state["identity"]), Progress(**state["progress"]), arrays
