"""Blending: weights between those of two runs of one line.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT): on the straight line between a network and
its fine-tuned self, networks are often better than both, for what fine-tuning forgot of where it started. The same
holds between two that were fine-tuned from one network (Wortsman et al. 2022, "Model soups").
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.asking_runs import measure_first_head, pictures_and_classes, twin_of
from training.errors import TrainingError
from training.head_set import rows_with_temperatures
from training.runs import HEAD, TUNED_BACKBONE, FinishedRun, begin_run, check_apart, read_run, save_backbone
from training.settings import code_version, write_json
from training.split_file import read_parts
from training.tunable import backbone_and_head


def blend(
    start: Path,
    tuned: Path,
    run: Path,
    *,
    root: Path | None = None,
    shares: Sequence[float] = (),
    like: Path | None = None,
    weights: str | None = None,
) -> dict[str, Any]:
    """Write a run whose weights lie between those of a run and of one fine-tuned from it, or from where it came from.

    Args:
        start: The run's folder.
        tuned: The folder of the run that came from it by `finetune`, once or more, or from the same run.
        run: The new run's folder; made where missing.
        root: The folder of the pictures; for `shares`.
        shares: Shares of the tuned weights to measure on the validation part, which neither run may have been trained
            on; the one with the lowest loss at its temperature is taken.
        like: Instead, a blend that was measured: its share and temperature are taken.
        weights: The backbone's first weights, see `runs.read_run`.

    Returns:
        The new run's record, as in `run.json`.

    Raises:
        TrainingError: The runs do not belong together, one of them is the new one, or there is nothing to choose a
            share by.
    """
    check_apart(run, start, tuned)
    chosen = None if like is None else _blended(like)
    second = read_run(tuned)
    size = (second.settings.backbone.height, second.settings.backbone.width)
    first = read_run(start, weights=weights, size=size)
    twins = [twin_of(one) for one in (first, second)]
    ends = [twin.get_weights() for twin in twins]
    if not _same_line(start, tuned) or [one.shape for one in ends[0]] != [one.shape for one in ends[1]]:
        raise TrainingError(
            f"{tuned} and {start} are not of one line: another split of the pictures, or another network."
        )
    if chosen is None:
        for folder, one in ((start, first), (tuned, second)):
            _check_unseen(folder, one)
        chosen = _best_share(twins[1], ends, shares, second, tuned, root)
    twins[1].set_weights(_between(ends, chosen["share"]))
    record = second.record | {
        "code": code_version(),
        "temperature": chosen["temperature"],
        "blended": chosen | {"with": start.name},
        # What either was trained on has left its mark in the weights between them.
        "trained_on": {
            "pictures": max(one.record["trained_on"]["pictures"] for one in (first, second)),
            "validation_included": first.saw_validation or second.saw_validation,
        },
    }
    if "heads" in record:
        # Those of the others are as the tuned run measured them; `refit` fits them to the blend.
        first_head = record["heads"][0]["name"]
        record["heads"] = rows_with_temperatures(record["heads"], {first_head: chosen})
    begin_run(run)
    shutil.copyfile(tuned / "split.csv", run / "split.csv")
    backbone, head = backbone_and_head(twins[1])
    save_backbone(run / TUNED_BACKBONE, backbone)
    write_json(run / "run.json", record)
    head.save(run / HEAD)
    return record


def _blended(run: Path) -> dict[str, Any]:
    """What was chosen in a blend.

    Raises:
        TrainingError: The run is none.
    """
    try:
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        found: dict[str, Any] = record["blended"]
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{run} is no complete run: {error}. Give --like the folder of a blend."
        ) from error
    except KeyError as error:
        raise TrainingError(
            f"{run} is no blend, so it has no share and temperature to take. Give --like a run that `blend` made."
        ) from error
    return found


def _same_line(start: Path, tuned: Path) -> bool:
    """Whether each picture that both runs know is in the same part, so that none is trained on and held out."""
    one, other = (read_parts(folder / "split.csv") for folder in (start, tuned))
    shared = one.keys() & other.keys()
    return bool(shared) and all(one[name] == other[name] for name in shared)


def _check_unseen(folder: Path, run: FinishedRun) -> None:
    if run.saw_validation:
        raise TrainingError(
            f"{folder} was trained on the validation part, so that part cannot choose a share. "
            "Measure the blend of runs that were not, and give that with --like."
        )


def _between(ends: Sequence[list[NDArray[np.float32]]], share: float) -> list[NDArray[np.float32]]:
    pairs = zip(*ends, strict=True)
    return [((1 - share) * first + share * second).astype(np.float32) for first, second in pairs]


def _best_share(
    twin: keras.Model,
    ends: Sequence[list[NDArray[np.float32]]],
    shares: Sequence[float],
    run: FinishedRun,
    folder: Path,
    root: Path | None,
) -> dict[str, Any]:
    if root is None or not shares:
        raise TrainingError(
            "Give shares to measure and the folder of the pictures, or a blend that was measured."
        )
    pixels, truth = pictures_and_classes(run, folder / "split.csv", root, "validation")
    rows = []
    for share in tqdm(shares, desc="shares", unit="share"):
        twin.set_weights(_between(ends, share))
        rows.append({"share": share} | measure_first_head(run, twin, pixels, truth))
    best = min(rows, key=lambda row: row["validation_loss"])
    return best | {"tried": rows}


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `blend` to a parser."""
    command.add_argument("--start", type=Path, required=True, help="the run that fine-tuning started from")
    command.add_argument("--tuned", type=Path, required=True, help="the run that came from it")
    command.add_argument("--run", type=Path, required=True, help="the folder for the new run")
    command.add_argument("--data", type=Path, help="the folder of the pictures, to measure shares")
    command.add_argument(
        "--shares",
        type=float,
        nargs="+",
        default=[0.3, 0.5, 0.7, 1.0],
        help="shares of the tuned weights to measure",
    )
    command.add_argument("--like", type=Path, help="take share and temperature of this measured blend")
    command.add_argument(
        "--backbone-weights", help="the weights file that a head's run used; default: imagenet"
    )


def run_blending(options: argparse.Namespace) -> None:
    """Blend, and say what was chosen."""
    chosen = blend(
        options.start,
        options.tuned,
        options.run,
        root=options.data,
        shares=options.shares,
        like=options.like,
        weights=options.backbone_weights,
    )["blended"]
    for row in chosen["tried"]:
        print(", ".join(f"{name.removeprefix('validation_')} {value:.4f}" for name, value in row.items()))
    print(f"share {chosen['share']}, temperature {chosen['temperature']:.3f}")
