"""The state of a fine-tuning between two epochs, on disk: complete or not there at all."""

import io
import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.distribution import from_first, is_first
from training.errors import TrainingError

_NONE = b"none yet"
# What NumPy says to bytes that are no .npz file, or a part of one, and what missing values give.
_DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile)


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


class Checkpoint:
    """One file with the numbers of a training, its progress and what it is a training of.

    Of several processes that train together, the first one writes it, and reads it for all.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        """Name a checkpoint.

        Args:
            path: The file.
            identity: Settings and data as plain values; a checkpoint of another training is refused.
        """
        self._path = path
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
        draft = self._path.with_name(f".{self._path.name}.draft")
        try:
            with draft.open("wb") as file:
                np.savez(file, allow_pickle=False, state=np.array(state), **flat)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise TrainingError(
                f"The checkpoint {self._path} cannot be written: {error.strerror}. What was reached after "
                f"{progress.epochs_done - 1} epochs is kept: make room and start the same command again."
            ) from error

    def load(self) -> tuple[Progress, dict[str, list[NDArray[Any]]]] | None:
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
        except _DAMAGED as error:
            raise TrainingError(
                f"{self._path} is no checkpoint: {error}. Remove it to start anew."
            ) from error
        if identity != self._identity:
            changed = sorted(key for key in self._identity if identity.get(key) != self._identity[key])
            raise TrainingError(
                f"{self._path} is of another training (different: {', '.join(changed)}). "
                "Give another run folder, or remove the file to start anew."
            )
        return progress, arrays


def _parsed(data: bytes) -> tuple[dict[str, Any], Progress, dict[str, list[NDArray[Any]]]]:
    arrays: dict[str, list[NDArray[Any]]] = {}
    with np.load(io.BytesIO(data)) as saved:
        state = json.loads(str(saved["state"]))
        for key in saved.files:
            name, _, number = key.partition(".")
            if number:
                arrays.setdefault(name, []).append(saved[key])
    return dict(state["identity"]), Progress(**state["progress"]), arrays
