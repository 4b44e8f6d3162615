"""A finished run, read back: its record, its backbone with the weights it ended with, and its head."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from training.arrays import read_arrays, write_arrays
from training.backbones import build_backbone, fingerprint_of
from training.classifier import HeadWeights
from training.errors import ExportError, TrainingError, WeightsError
from training.folding import fold_convolutions
from training.settings import TrainSettings

#: The backbone's weights after fine-tuning; a run without this file left its backbone as it was.
TUNED_BACKBONE = "backbone.npz"
#: The head's weights, written last: a run's folder that has them is complete.
HEAD = "head.npz"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run whose training is complete.

    Attributes:
        record: The content of `run.json`, the weights file of the backbone by its name alone.
        settings: The run's settings; the backbone's size is the size asked for.
        backbone: Without its classifier, batch normalisations folded where they can be.
        head: The trained head.
    """

    record: dict[str, Any]
    settings: TrainSettings
    backbone: keras.Model
    head: HeadWeights

    @property
    def saw_validation(self) -> bool:
        """Whether it was trained on the validation part, which then can choose nothing any more."""
        return bool(self.record["trained_on"]["validation_included"])


def read_run(run: Path, *, weights: str | None = None, size: tuple[int, int] | None = None) -> FinishedRun:
    """Read a finished run.

    Args:
        run: The run's folder.
        weights: The backbone's first weights, as in `BackboneSettings`; by default as the run recorded. A fine-tuned
            run has its own and does not ask for them.
        size: Rows and columns to build the backbone for; by default the run's.

    Returns:
        The run.

    Raises:
        ExportError: The run is not complete.
        WeightsError: These are not the weights that the run used.
    """
    try:
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(f"{run} is no complete run: {error}. Run the same train command again.") from error
    head = HeadWeights.load(run / HEAD)
    settings = TrainSettings.from_json(record["settings"])
    tuned = run / TUNED_BACKBONE
    if tuned.is_file():
        backbone = fold_convolutions(
            build_backbone(_resized(dataclasses.replace(settings.backbone, weights="none"), size))
        )
        try:
            arrays = read_arrays(tuned)
            backbone.set_weights([arrays[f"weights_{number}"] for number in range(len(arrays))])
        except (OSError, KeyError, ValueError) as error:
            raise WeightsError(
                f"{tuned} does not hold the weights of this run's backbone: {error}. Run the same command again; it "
                "goes on from its checkpoint."
            ) from error
    else:
        first = dataclasses.replace(settings.backbone, weights=weights or settings.backbone.weights)
        settings = dataclasses.replace(settings, backbone=first)
        original = build_backbone(first)
        if fingerprint_of(first, original) != record["backbone_fingerprint"]:
            raise WeightsError(f"{first.weights} holds other weights than those the head was trained on.")
        at_size = original
        if _resized(first, size) != first:
            at_size = build_backbone(_resized(dataclasses.replace(first, weights="none"), size))
            at_size.set_weights(original.get_weights())
        backbone = fold_convolutions(at_size)
    settings = dataclasses.replace(settings, backbone=_resized(settings.backbone, size))
    record["settings"] = settings.as_json()
    return FinishedRun(record, settings, backbone, head)


def check_apart(run: Path, *starts: Path) -> None:
    """See that a new run's folder is none of those that it starts from.

    Raises:
        TrainingError: It is.
    """
    if run.resolve() in {start.resolve() for start in starts}:
        raise TrainingError(
            f"{run} is the run to start from, which would be lost. Give another folder for the new run."
        )


def begin_run(run: Path) -> None:
    """Make a new run's folder, or begin it anew.

    A finished run in it counts as finished no more, nor does its backbone: otherwise, from here to the end, the
    weights of one run would stand beside the split of another.

    Args:
        run: The folder.
    """
    run.mkdir(parents=True, exist_ok=True)
    for name in (HEAD, TUNED_BACKBONE):
        (run / name).unlink(missing_ok=True)


def _resized(backbone: Any, size: tuple[int, int] | None) -> Any:
    height, width = size or (backbone.height, backbone.width)
    return dataclasses.replace(backbone, height=height, width=width)


def save_backbone(path: Path, backbone: keras.Model) -> None:
    """Write a folded backbone's weights for `read_run`."""
    arrays = {f"weights_{number}": weights for number, weights in enumerate(backbone.get_weights())}
    write_arrays(path, arrays)
