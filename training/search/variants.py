"""What each part of a fine-tuning gives: the same training again and again, each time with one thing changed."""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna

from training.errors import TrainingError
from training.finetune_command import settings_from
from training.search.spread import Spread
from training.search.tasks import Figures, FinetuneSource, FinetuneTask
from training.settings import code_version, write_json

#: The name of the training that all others are compared with.
WHOLE = "as given"
RESULTS = "ablation.json"
TABLE = "ablation.md"


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing changed.

    Attributes:
        name: What, in words.
        options: The words that are added to the command line; the last of two options with one name counts.
    """

    name: str
    options: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> "Variant":
        """Read `NAME: OPTIONS`, as in `no mixing: --mixup 0 --cutmix 0`.

        Raises:
            argparse.ArgumentTypeError: It is not that, or takes the name of the whole.
        """
        name, colon, options = text.partition(":")
        words = tuple(shlex.split(options))
        if not (colon and name.strip() and words):
            raise argparse.ArgumentTypeError(
                f"{text!r}: a variant is given as 'NAME: OPTIONS', for instance 'no mixing: --mixup 0 --cutmix 0'"
            )
        if name.strip() == WHOLE:
            raise argparse.ArgumentTypeError(
                f"{WHOLE!r} is what the variants are compared with; choose another name"
            )
        return cls(name.strip(), words)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `ablate` to a parser that has those of `finetune`."""
    command.add_argument(
        "--variant",
        type=Variant.read,
        action="append",
        required=True,
        metavar="'NAME: OPTIONS'",
        help="train once more with these options too, for instance 'no mixing: --mixup 0 --cutmix 0'; repeatable",
    )
    command.add_argument("--seeds", type=int, default=2, help="how many seeds, from --seed on (%(default)s)")
    command.add_argument(
        "--unseen",
        type=Path,
        metavar="SPLIT",
        help="measure the test part of this split file too, such as the pictures of a source left out",
    )


def run_ablation(
    options: argparse.Namespace, parse: Callable[[Sequence[str]], argparse.Namespace]
) -> list[dict[str, Any]]:
    """Train as given, then with each variant, by every seed; print and write a table of the validation figures.

    Trainings that are in the run's folder already are not made again, so that a stopped ablation goes on. One that
    runs away is told, and is not in the table.

    Args:
        options: Of `ablate`, with `given`, the command's own words.
        parse: Makes options of a command line.

    Returns:
        A row for each name in the table, of this call's trainings alone.

    Raises:
        TrainingError: Two variants have one name, a variant's options are wrong or hold for all trainings alike, or
            the runs cannot be compared.
    """
    variants = [Variant(WHOLE, ()), *options.variant]
    if len({one.name for one in variants}) < len(variants):
        raise TrainingError("Two variants have the same name. Give each its own.")
    chosen = [(one, parse([*options.given, *one.options])) for one in variants]
    for one, own in chosen:
        _check(one, own, options)
    # All of them before the first training: a wrong option must not come to light hours later.
    tasks = [(one, settings_from(own), _task(own, options.run / "trainings")) for one, own in chosen]
    options.run.mkdir(parents=True, exist_ok=True)
    done = _read(options.run / RESULTS)
    compared = []
    # Seeds outside: after the first of them every variant has a figure, however early somebody stops.
    for seed in range(options.seed, options.seed + options.seeds):
        for variant, settings, task in tasks:
            identity = dict(task.identity())
            identity["settings"] = identity["settings"] | {"seed": seed}
            made = [row for row in done if (row["name"], row["identity"]) == (variant.name, _plain(identity))]
            if not made:
                started = time.perf_counter()
                try:
                    found = task.attempt(settings, seed, lambda _: None)
                except optuna.TrialPruned as error:
                    print(f"{variant.name}, seed {seed}: {error}", file=sys.stderr)
                    continue
                made = [_row(variant, seed, found, time.perf_counter() - started, identity)]
                done += made
                write_json(options.run / RESULTS, {"code": code_version(), "trainings": done})
                print(
                    f"{variant.name}, seed {seed}: top-1 {found.top1:.4f}, loss {found.loss:.4f}", flush=True
                )
            # By identity, not by name: an earlier call may have meant something else by the same name.
            compared += made[:1]
    rows = summary(compared)
    table = as_markdown(rows)
    (options.run / TABLE).write_text(table, encoding="utf-8")
    print(table)
    return rows


def summary(trainings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare the variants with the whole, seed by seed.

    Args:
        trainings: Rows with `name`, `seed` and the figures.

    Returns:
        For each name its `seeds`, the spread of each figure, and as `top1_gain` and so on the mean of the differences
        to the whole of the same seed, which chance touches less than it does the figures themselves. Those of unseen
        pictures are there where every training has them.
    """
    unseen = (
        ("unseen_top1", "unseen_top3") if all(row.get("unseen_top1") is not None for row in trainings) else ()
    )
    whole = {row["seed"]: row for row in trainings if row["name"] == WHOLE}
    rows = []
    for name in dict.fromkeys(row["name"] for row in trainings):
        own = [row for row in trainings if row["name"] == name and row["seed"] in whole]
        if not own:
            continue
        rows.append(
            {
                "name": name,
                "options": own[0]["options"],
                "seeds": [row["seed"] for row in own],
                **{
                    key: Spread.of([row[key] for row in own])
                    for key in ("top1", "top3", "loss", "epochs", *unseen)
                },
                **{
                    f"{key}_gain": statistics.fmean(row[key] - whole[row["seed"]][key] for row in own)
                    for key in ("top1", "loss", *unseen)
                },
            }
        )
    return rows


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table, for a page of documentation."""
    unseen = any("unseen_top1" in row for row in rows)
    heads = ["training", "options", "seeds", "top-1", "against as given", "top-3", "loss", "against as given"]
    heads += ["best pass", *(["unseen: top-1", "against as given", "top-3"] if unseen else [])]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        own = row["name"] == WHOLE
        cells = [
            row["name"],
            f"`{shlex.join(row['options'])}`" if row["options"] else "",
            str(len(row["seeds"])),
            row["top1"].share(),
            "" if own else f"{100 * row['top1_gain']:+.1f}",
            row["top3"].share(),
            row["loss"].number(),
            "" if own else f"{row['loss_gain']:+.3f}",
            f"{row['epochs'].mean:.1f}",
        ]
        if unseen:
            gain = "" if own else f"{100 * row['unseen_top1_gain']:+.1f}"
            cells += [row["unseen_top1"].share(), gain, row["unseen_top3"].share()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _check(variant: Variant, own: argparse.Namespace, options: argparse.Namespace) -> None:
    if own.on_validation:
        raise TrainingError(
            f"{variant.name}: with --on-validation nothing is left to compare by. Leave it out."
        )
    for name in ("run", "seed", "seeds"):
        if getattr(own, name) != getattr(options, name):
            raise TrainingError(
                f"{variant.name}: --{name} is one for all trainings of an ablation. Give it outside the variants."
            )


def _task(options: argparse.Namespace, folder: Path) -> FinetuneTask:
    return FinetuneTask(FinetuneSource.of(options), settings_from(options), folder)


def _row(
    variant: Variant, seed: int, found: Figures, seconds: float, identity: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": variant.name,
        "options": list(variant.options),
        "seed": seed,
        **asdict(found),
        "seconds": round(seconds, 1),
        "identity": _plain(identity),
    }


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["trainings"]
    return rows


def _plain(identity: dict[str, Any]) -> dict[str, Any]:
    """As it is after it was written and read."""
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain
