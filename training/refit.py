"""Refitting: heads beside the first one, trained anew on the features of a finished network.

A head that starts at zero in the last passes of a fine-tuning, with few pictures among those of other heads, is far
from done when the backbone is. On the finished network's features, behind the hidden layers if it has any, it is
trained to its end in seconds, by the same trainer as any head on frozen features; the backbone, the hidden layers and
the other heads stay as they are.
"""

import argparse
import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.backbones import fingerprint_of
from training.classifier import HeadWeights
from training.data import with_digests
from training.errors import TrainingError
from training.features import FeatureStore
from training.head import Features, HeadSettings, train_head
from training.head_set import UNKNOWN, HeadSet, rows_with_temperatures
from training.pipeline import embed
from training.runs import HEAD, TUNED_BACKBONE, begin_run, check_apart, read_run
from training.settings import code_version, write_json
from training.targets import read_targets
from training.views import FLIP, ORIGINAL

#: How a head is refitted: linear, as its columns are, and gently, as the features know its pictures already.
SETTINGS = HeadSettings(
    hidden=0, learning_rate=2e-3, epochs=30, batch=64, input_dropout=0.3, mixup=0.2, weight_decay=0.1
)


def refit(
    start: Path,
    root: Path,
    cache: Path,
    run: Path,
    names: Sequence[str],
    *,
    most: int = 4000,
    settings: HeadSettings = SETTINGS,
) -> dict[str, Any]:
    """Train some heads of a run anew on its features, and write a run with them.

    Args:
        start: A fine-tuned run with several heads.
        root: The folder of its pictures.
        cache: The folder of all caches.
        run: The new run's folder; made where missing.
        names: The heads, or their columns in the targets; not the first one.
        most: Of a head's class no more training pictures than this are taken, drawn by the head's seed.
        settings: How.

    Returns:
        The new run's record, as in `run.json`.

    Raises:
        TrainingError: The run is not complete, has no such head or is the new one.
        DataError: Its pictures are not under the folder.
    """
    check_apart(run, start)
    finished = read_run(start)
    heads = HeadSet.from_record(finished.record)
    chosen = [head.name for head in heads.heads[1:] if {head.name, head.name.partition("/")[0]} & set(names)]
    lost = [name for name in names if not any(name in {one, one.partition("/")[0]} for one in chosen)]
    if lost:
        raise TrainingError(
            f"{start} has no head {lost[0]!r} beside its first; it has "
            f"{', '.join(head.name for head in heads.heads[1:]) or 'none'}."
        )
    table = read_targets(start / "split.csv", root)
    classes = table.classes(heads)
    kernel, bias = (array.copy() for array in finished.head.layers[-1])
    seed, rows = finished.settings.seed, {}
    store = FeatureStore(cache, fingerprint_of(finished.settings.backbone, finished.backbone))
    for name in chosen:
        place = [head.name for head in heads.heads].index(name)
        parts = {
            part: _drawn(classes[:, place], table.places(part), most, seed)
            for part in ("train", "validation")
        }
        parts["validation"] = parts["validation"] if len(parts["validation"]) else parts["train"]
        features = {
            part: embed(
                store,
                with_digests([table.pictures[one] for one in places.tolist()]),
                (ORIGINAL, FLIP) if part == "train" else (ORIGINAL,),
                finished.settings,
                finished.backbone,
            )
            for part, places in parts.items()
        }
        inputs = {
            part: finished.head.hidden(views.astype(np.float32)).astype(np.float16)
            for part, views in features.items()
        }
        head, history = train_head(
            Features(inputs["train"], classes[parts["train"], place]),
            Features(inputs["validation"], classes[parts["validation"], place]),
            settings,
            len(heads[name].ids),
            seed=seed,
            progress=False,
        )
        part = heads.slices[name]
        ((kernel[:, part], bias[part]),) = HeadWeights.of(head).layers
        rows[name] = min(history, key=lambda row: float(row["validation_loss"])) | {
            "pictures": len(parts["train"])
        }
        print(f"{name}: {len(parts['train'])} pictures, validation top-1 {rows[name]['validation_top1']:.4f}")
    record = _record(finished.record, rows, settings, start.name)
    begin_run(run)
    for name in ("split.csv", TUNED_BACKBONE):
        shutil.copyfile(start / name, run / name)
    write_json(run / "run.json", record)
    HeadWeights((*finished.head.layers[:-1], (kernel, bias))).save(run / HEAD)
    return record


def _drawn(classes: NDArray[np.int64], places: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """The places whose class is known, of each class at most so many."""
    random = np.random.default_rng(seed)
    known = random.permutation(places[classes[places] != UNKNOWN])
    kept = [known[classes[known] == one][:most] for one in np.unique(classes[known])]
    return np.sort(np.concatenate(kept)) if kept else known


def _record(
    record: dict[str, Any], rows: dict[str, Any], settings: HeadSettings, start: str
) -> dict[str, Any]:
    described = rows_with_temperatures(record["heads"], rows)
    stage = {"started_from": start, "settings": dataclasses.asdict(settings), "heads": rows}
    return {**record, "code": code_version(), "heads": described, "refitted": stage}


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `refit` to a parser."""
    command.add_argument("--start", type=Path, required=True, help="a fine-tuned run with several heads")
    command.add_argument("--data", type=Path, required=True, help="the folder of its pictures")
    command.add_argument("--cache", type=Path, required=True, help="the folder for features")
    command.add_argument("--run", type=Path, required=True, help="the folder for the new run")
    command.add_argument(
        "--head", action="append", required=True, help="a head to train anew; may be given again"
    )
    command.add_argument("--most", type=int, default=4000, help="training pictures of a class, at most")


def run_refit(options: argparse.Namespace) -> None:
    """Refit the heads asked for."""
    refit(options.start, options.data, options.cache, options.run, options.head, most=options.most)
