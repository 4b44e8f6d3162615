"""Fine-tuning: the second stage of transfer learning, from a finished run to a better one in a folder of its own.

The new run has the old one's split and classes, and can itself be the start of another fine-tuning: at a larger size,
say, with a low rate.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import tensorboard
from training.checkpoint import Checkpoint, Progress
from training.classes import find_classes
from training.data import Dataset, Picture, with_digests
from training.distribution import first_goes_first
from training.errors import DataError
from training.finetune_settings import FinetuneSettings
from training.head_set import UNKNOWN, HeadSet
from training.passes import Parts, Training
from training.pixels import decoded_pixels
from training.runs import HEAD, TUNED_BACKBONE, FinishedRun, begin_run, check_apart, read_run, save_backbone
from training.settings import code_version, write_json
from training.split import PARTS
from training.split_file import read_parts, read_split
from training.targets import Targets, read_targets
from training.tensorboard import ScalarLog
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
    targets: Path | None = None,
    head_weights: Mapping[str, float] | None = None,
    progress: bool = True,
    after_pass: Callable[[dict[str, Any]], None] | None = None,
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
        targets: A table of pictures, parts and targets (see `targets`) in place of the run's split; columns that the
            run has no head for become new heads.
        head_weights: What the loss of a new head counts for, by its column in the table; others count 1.
        progress: Whether to show progress bars.
        after_pass: See `passes.Training`. A training that goes on tells it the passes that were made before first, so
            that it judges all of them.

    Returns:
        The new run's record, as in `run.json`.

    Raises:
        TrainingError: The run or the pictures are not there or not the same, `run` holds another training or is the
            run to start from, or a weight is for no new head.
        RanAwayError: No pass gave finite answers.
    """
    check_apart(run, start)
    before = read_run(start, weights=weights, size=(settings.height, settings.width))
    source = _pictures(start, root, before, targets, head_weights or {})
    parts = source.parts(both=on_validation or before.saw_validation)
    identity = {
        "settings": settings.as_json(),
        "start": hashlib.sha256((start / HEAD).read_bytes()).hexdigest(),
        "data": source.data["fingerprint"],
        "heads": source.heads.as_json(),
        "pictures": len(parts.train),
        "values": parts.digest,
    }
    checkpoint = Checkpoint(run / "checkpoint.npz", identity, newer=("values",))
    # Before anything in the folder is touched: another training's is refused, and stays as it is.
    known = checkpoint.load()
    if known is None:
        begin_run(run)
    elif after_pass is not None:
        for row in known[0].history[1:]:
            after_pass(row)
    shutil.copyfile(targets or start / "split.csv", run / "split.csv")
    measured = None
    with first_goes_first():
        pixels = decoded_pixels(parts.pictures, cache, *settings.stored_size(), progress=progress)
        if parts.validation is not None:
            held_out = [parts.pictures[place] for place in parts.validation.tolist()]
            measured = decoded_pixels(held_out, cache, settings.height, settings.width, progress=progress)
    tunable = build_tunable(before, settings, source.more)
    with ScalarLog(run / tensorboard.FOLDER, pictures=len(parts.train)) as log:

        def told(row: dict[str, Any]) -> None:
            log.add(row)
            if after_pass is not None:
                after_pass(row)

        training = Training(tunable, parts, pixels, measured, settings, progress=progress, after_pass=told)
        state = training.run(checkpoint, known)
    record = _record(before, settings, source, parts, state, start.name)
    backbone, head = backbone_and_head(tunable.twin)
    write_json(run / "history.json", state.history)
    save_backbone(run / TUNED_BACKBONE, backbone)
    write_json(run / "run.json", record)
    head.save(run / HEAD)
    return record


@dataclass(frozen=True, slots=True)
class _Source:
    """What there is to train on: all pictures of a table or a split, the test part left out of `parts`."""

    pictures: list[Picture]
    part_of: list[str]
    classes: NDArray[np.int64]
    heads: HeadSet
    more: HeadSet | None
    data: dict[str, Any]

    def parts(self, *, both: bool) -> Parts:
        known = (self.classes != UNKNOWN).any(axis=1)
        kept = [n for n, part in enumerate(self.part_of) if part in {"train", "validation"} and known[n]]
        train = np.array([self.part_of[n] == "train" for n in kept])
        trained = np.arange(len(kept)) if both else np.flatnonzero(train)
        measured = None if both else np.flatnonzero(~train)
        if not len(trained) or (measured is not None and not len(measured)):
            raise DataError(
                f"No picture of the {'validation' if len(trained) else 'training'} part says anything about "
                f"{', '.join(head.name for head in self.heads.heads)}. Look at the columns of the table"
                f"{', or give --on-validation' if len(trained) else ''}."
            )
        return Parts([self.pictures[n] for n in kept], self.classes[kept], trained, measured)


def _pictures(
    start: Path, root: Path, before: FinishedRun, targets: Path | None, weights: Mapping[str, float]
) -> _Source:
    split, has = start / "split.csv", HeadSet.from_record(before.record)
    if targets is None and len(has.heads) > 1:
        targets = split
    if targets is not None:
        table = read_targets(targets, root)
        source = _table(split, before, table, has, weights)
        if targets.read_bytes() == split.read_bytes():
            _check_same(source.data["fingerprint"], before, start, root)
        return source
    if weights:
        raise DataError(
            f"--head-weight {next(iter(weights))}: without a table there are no new heads. Give it with --targets."
        )
    everything = with_digests(read_split(split, root, "all"))
    _check_same(Dataset(tuple(everything)).fingerprint, before, start, root)
    part_of = read_parts(split)
    known = find_classes((one.label for one in everything), before.settings.task)
    place_of = {row["id"]: number for number, row in enumerate(before.record["classes"])}
    classes = np.array([[place_of[known.ids[known.of_label[one.label]]]] for one in everything], np.int64)
    parts = [part_of[one.name] for one in everything]
    return _Source(everything, parts, classes, has, None, before.record["data"])


def _check_same(fingerprint: str, before: FinishedRun, start: Path, root: Path) -> None:
    if fingerprint != before.record["data"]["fingerprint"]:
        raise DataError(
            f"The pictures under {root} are not those that {start} was trained on. "
            "Name that run's data folder, or train a head on these first."
        )


def _table(
    split: Path, before: FinishedRun, table: Targets, has: HeadSet, weights: Mapping[str, float]
) -> _Source:
    part_of = dict(zip((one.name for one in table.pictures), table.parts, strict=True))
    moved = [name for name, part in read_parts(split).items() if part_of.get(name, part) != part]
    if moved:
        raise DataError(
            f"{len(moved)} pictures are in another part than in {split}, for instance {moved[0]}: what one training "
            "has seen the other would be measured on. Train the first run on the split of the targets."
        )
    more = table.new_heads(has, weights)
    heads = HeadSet((*has.heads, *more.heads))
    pictures = with_digests(table.pictures)
    counts = Counter(table.parts)
    data = before.record["data"] | {
        "pictures": len(pictures),
        "fingerprint": Dataset(tuple(pictures)).fingerprint,
        "parts": {part: counts[part] for part in PARTS},
    }
    return _Source(
        pictures, list(table.parts), table.classes(heads), heads, more if more.heads else None, data
    )


def _record(
    before: FinishedRun,
    settings: FinetuneSettings,
    source: _Source,
    parts: Parts,
    state: Progress,
    start: str,
) -> dict[str, Any]:
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
    heads = source.heads.with_temperatures(stage["after"].get("heads", {}))
    rows = heads.as_json()
    for place, row in enumerate(rows):
        trained = parts.classes[parts.train, place]
        counts = np.bincount(trained[trained != UNKNOWN], minlength=len(row["classes"])).tolist()
        row["classes"] = [
            one | {"trained_on": count} for one, count in zip(row["classes"], counts, strict=True)
        ]
    # What was done to the start's weights as they stood says nothing about these.
    kept = {key: value for key, value in before.record.items() if key not in {"blended", "refitted"}}
    return {
        **kept,
        "code": code_version(),
        "data": source.data,
        "temperature": heads.heads[0].temperature,
        "finetuning": [*before.record.get("finetuning", []), stage],
        "trained_on": {"pictures": len(parts.train), "validation_included": parts.validation is None},
        "classes": rows[0]["classes"],
        "heads": rows,
    }
