"""Fine-tuning: the second stage of transfer learning, from a finished run to a better one in a folder of its own.

The new run has the old one's split and classes, and can itself be the start of another fine-tuning: at a larger size,
say, with a low rate.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from training.checkpoint import Checkpoint, Progress
from training.classes import find_classes
from training.data import Dataset, with_digests
from training.errors import DataError
from training.finetune_settings import FinetuneSettings
from training.passes import Parts, Training
from training.pipeline import read_split
from training.pixels import decoded_pixels
from training.runs import TUNED_BACKBONE, FinishedRun, read_run, save_backbone
from training.settings import code_version, write_json
from training.tunable import backbone_and_head, build_tunable


def finetune(
    start: Path,
    root: Path,
    cache: Path,
    run: Path,
    settings: FinetuneSettings,
    *,
    weights: str | None = None,
    on_validation: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Fine-tune what a run ended with, and write a run folder of the same kind.

    Where the run that it starts from has not been trained on the validation part, that part is measured after every
    pass, by the averaged weights: they are kept from the pass with the lowest loss, and passes without a better one
    end the training. Otherwise, or with `on_validation`, all passes are made on both parts, and the last is kept.

    Stopped at any time, the same call goes on after the last finished pass, to the same result.

    Args:
        start: The folder of the run to start from, of `train` or of this.
        root: The folder of its pictures.
        cache: The folder of all caches; decoded pictures are kept there.
        run: The new run's folder; made where missing.
        settings: How.
        weights: The backbone's first weights, see `runs.read_run`.
        on_validation: Train on the validation part too.
        progress: Whether to show progress bars.

    Returns:
        The new run's record, as in `run.json`.

    Raises:
        TrainingError: The run or the pictures are not there or not the same, or `run` holds another training.
    """
    before = read_run(start, weights=weights, size=(settings.height, settings.width))
    seen = bool(before.record["trained_on"]["validation_included"])
    parts = _parts(start, root, before, both=on_validation or seen)
    run.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(start / "split.csv", run / "split.csv")
    pixels = decoded_pixels(parts.pictures, cache, *settings.stored_size(), progress=progress)
    measured = None
    if parts.validation is not None:
        held_out = [parts.pictures[place] for place in parts.validation.tolist()]
        measured = decoded_pixels(held_out, cache, settings.height, settings.width, progress=progress)
    tunable = build_tunable(before, settings)
    training = Training(tunable, parts, pixels, measured, settings, progress=progress)
    identity = {
        "settings": settings.as_json(),
        "start": hashlib.sha256((start / "head.npz").read_bytes()).hexdigest(),
        "data": before.record["data"]["fingerprint"],
        "pictures": len(parts.train),
    }
    state = training.run(Checkpoint(run / "checkpoint.npz", identity))
    record = _record(before, settings, parts, state, start.name)
    backbone, head = backbone_and_head(tunable.twin)
    write_json(run / "history.json", state.history)
    save_backbone(run / TUNED_BACKBONE, backbone)
    write_json(run / "run.json", record)
    head.save(run / "head.npz")
    return record


def _parts(start: Path, root: Path, before: FinishedRun, *, both: bool) -> Parts:
    split = start / "split.csv"
    everything = with_digests(read_split(split, root, "all"))
    if Dataset(tuple(everything)).fingerprint != before.record["data"]["fingerprint"]:
        raise DataError(
            f"The pictures under {root} are not those that {start} was trained on. "
            "Name that run's data folder, or train a head on these first."
        )
    kept = {name: {one.name for one in read_split(split, root, name)} for name in ("train", "validation")}
    pictures = [one for one in everything if one.name in kept["train"] | kept["validation"]]
    places = {
        name: np.array([n for n, one in enumerate(pictures) if one.name in names], np.int64)
        for name, names in kept.items()
    }
    known = find_classes(one.label for one in everything)
    place_of = {row["id"]: number for number, row in enumerate(before.record["classes"])}
    classes = np.array([place_of[known.ids[known.of_label[one.label]]] for one in pictures], np.int64)
    if both:
        return Parts(pictures, classes, np.arange(len(pictures)), None)
    return Parts(pictures, classes, places["train"], places["validation"])


def _record(
    before: FinishedRun, settings: FinetuneSettings, parts: Parts, state: Progress, start: str
) -> dict[str, Any]:
    counts = np.bincount(parts.classes[parts.train], minlength=len(before.record["classes"])).tolist()
    stage = {
        "started_from": start,
        "settings": settings.as_json(),
        "best_epoch": state.best_epoch,
        "before": state.history[0],
        "after": state.history[state.best_epoch],
        "seconds": round(sum(row.get("seconds", 0.0) for row in state.history)),
        "validation_included": parts.validation is None,
    }
    # Without a measured part there is nothing to fit a temperature to; the start's is the nearest known.
    known = before.record.get("temperature") or before.record["chosen"].get("temperature", 1.0)
    return {
        **before.record,
        "code": code_version(),
        "temperature": stage["after"].get("temperature", known),
        "finetuning": [*before.record.get("finetuning", []), stage],
        "trained_on": {"pictures": len(parts.train), "validation_included": parts.validation is None},
        "classes": [
            row | {"trained_on": count} for row, count in zip(before.record["classes"], counts, strict=True)
        ],
    }
