"""The subcommands `clean` and `review`, and the option `--decisions` of `train`."""

import argparse
import dataclasses
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.cleaning.confident import METHODS, RANKINGS
from training.cleaning.decisions import Decision, apply_decisions, read_decisions, write_decisions
from training.cleaning.folds import judgeable, out_of_fold
from training.cleaning.review import choose_examples, write_review
from training.cleaning.suspects import (
    PART_OF,
    drop_top,
    list_suspects,
    read_suspects,
    spellings,
    write_suspects,
)
from training.errors import DataError
from training.pipeline import Prepared
from training.settings import TrainSettings, write_json
from training.views import training_views

SUSPECTS, EXAMPLES, SUMMARY, PAGE = "suspects.csv", "examples.json", "summary.json", "review.html"
_ON_PAGE = 300


def add_clean_options(command: argparse.ArgumentParser) -> None:
    """The options of `clean` beside those of the data and of the recipe."""
    command.add_argument("--cache", type=Path, required=True, help="the folder for hashes and features")
    command.add_argument("--out", type=Path, required=True, help=f"the folder for {SUSPECTS} and {PAGE}")
    command.add_argument("--folds", type=int, default=5, help="parts, each judged by heads of the others")
    command.add_argument("--heads", type=int, default=1, help="heads for each fold, averaged")
    command.add_argument("--method", choices=METHODS, default="by-class", help="(default: %(default)s)")
    command.add_argument(
        "--ranking", choices=RANKINGS, default="self-confidence", help="(default: %(default)s)"
    )
    command.add_argument("--drop-top", type=int, help="also write decisions that drop so many, unseen")
    _add_page_options(command)


def add_review_options(command: argparse.ArgumentParser) -> None:
    """The options of `review`."""
    command.add_argument("--suspects", type=Path, required=True, help="the folder that `clean` wrote")
    command.add_argument("--data", type=Path, required=True, help="the folder that the names are relative to")
    command.add_argument("--output", type=Path, required=True, help="the HTML file")
    command.add_argument("--sample", type=int, help="a random sample of so many, to count the wrong ones")
    command.add_argument("--seed", type=int, default=0, help="seed of the sample")
    command.add_argument(
        "--unrelated", action="store_true", help="leave out labels that are parts of another"
    )
    _add_page_options(command)


def _add_page_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--limit", type=int, default=_ON_PAGE, help="suspects on the page (default: %(default)s)"
    )
    command.add_argument("--decisions", type=Path, help="decisions made before, shown on the page")


def add_decision_options(command: argparse.ArgumentParser) -> None:
    """The options of `train` that apply a decisions file."""
    command.add_argument(
        "--decisions", type=Path, help="keep, relabel or drop pictures as this CSV file says"
    )
    command.add_argument(
        "--decisions-on-test", action="store_true", help="apply decisions to the test part too"
    )


def decisions_from(options: argparse.Namespace) -> dict[str, Decision] | None:
    """Read the decisions file that the options name, if any; before anything is computed, as it may be wrong.

    Args:
        options: With those of `add_decision_options`.

    Returns:
        The decisions by file.

    Raises:
        DataError: The file cannot be read, or rows are wrong.
    """
    return None if options.decisions is None else read_decisions(options.decisions, options.task)


def with_decisions(
    prepared: Prepared, decisions: dict[str, Decision] | None, options: argparse.Namespace
) -> Prepared:
    """Apply decisions, if any, and say what they did.

    Args:
        prepared: The data.
        decisions: From `decisions_from`.
        options: With those of `add_decision_options`.

    Returns:
        The changed data, which record the file and what it did.

    Raises:
        DataError: The decisions are about other data, or would empty a class.
    """
    if decisions is None:
        return prepared
    path = options.decisions
    changed, counts = apply_decisions(prepared, decisions, on_test=options.decisions_on_test)
    print(f"decisions: {counts['dropped']} dropped, {counts['relabelled']} relabelled, {counts['kept']} kept")
    if counts["in_test"]:
        print(
            f"decisions: {counts['in_test']} are about the test part and were not applied, so that its figures stay "
            "comparable; --decisions-on-test applies them"
        )
    if options.decisions_on_test:
        print(
            "decisions: the test part was changed too; its figures do not compare with others",
            file=sys.stderr,
        )
    if counts["not_in_data"]:
        print(
            f"decisions: {counts['not_in_data']} are about pictures that are not in the data", file=sys.stderr
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record = {"file": path.name, "sha256": digest, "on_test": options.decisions_on_test, **counts}
    return dataclasses.replace(changed, decisions=record)


def run_clean(options: argparse.Namespace, prepared: Prepared, settings: TrainSettings) -> None:
    """Find suspects, and write their list, the review page and what else `docs/cleaning.md` names."""
    options.out.mkdir(parents=True, exist_ok=True)
    probabilities, folds = _out_of_fold(options, prepared, settings)
    names = spellings(prepared)
    labels = np.array(
        [prepared.classes.of_label[picture.label] for picture in prepared.data.pictures], np.int64
    )
    judged = judgeable(labels, folds, folds >= 0)
    suspects, noise = list_suspects(
        prepared, probabilities, judged, method=options.method, ranking=options.ranking
    )
    examples = choose_examples(prepared, probabilities, names)
    right = probabilities.argmax(axis=1) == labels

    write_suspects(options.out / SUSPECTS, suspects)
    write_json(options.out / EXAMPLES, examples)
    write_json(
        options.out / SUMMARY,
        {
            "pictures": len(labels),
            "out_of_fold_top1": float(right[folds >= 0].mean()),
            "test_top1": float(right[folds < 0].mean()) if (folds < 0).any() else None,
            "estimated_noise": noise,
            "not_judged": int((~judged).sum()),
            "suspects": len(suspects),
            "suspects_in_test": sum(one.part == "test" for one in suspects),
            "suspects_one_part_of_the_other": sum(one.relation == PART_OF for one in suspects),
            "method": options.method,
            "ranking": options.ranking,
            "folds": options.folds,
            "heads": options.heads,
            "settings": settings.as_json(),
        },
    )
    _write_page(options, options.out / PAGE, options.out)
    if options.drop_top is not None:
        seen = [
            picture.label for picture, fold in zip(prepared.data.pictures, folds, strict=True) if fold >= 0
        ]
        dropped = drop_top(suspects, seen, options.drop_top)
        write_decisions(options.out / "drop-top.csv", dropped)
        print(f"{len(dropped)} decisions to drop, which nobody looked at: {options.out / 'drop-top.csv'}")
    print(
        f"{len(suspects)} suspects of {len(labels)} pictures, the first {options.limit} in {options.out / PAGE}"
    )
    if not judged.all():
        print(
            f"{(~judged).sum()} pictures were not judged: nothing else teaches their class", file=sys.stderr
        )


def _out_of_fold(
    options: argparse.Namespace, prepared: Prepared, settings: TrainSettings
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Predict out of fold, or load what an earlier command with the same data, split and head predicted."""
    seeds = list(range(settings.seed, settings.seed + options.heads))
    head = settings.heads[0]
    # Random crops would make little difference to what is suspected, and much to the time.
    views = training_views(settings.crops)[:2]
    made_with = [
        prepared.data.fingerprint,
        prepared.backbone_fingerprint,
        settings.pooling,
        views,
        dataclasses.asdict(head),
        options.folds,
        seeds,
        prepared.split.test.tolist(),
        hashlib.sha256(prepared.groups.astype(np.int64).tobytes()).hexdigest(),
    ]
    key = hashlib.sha256(json.dumps(made_with).encode()).hexdigest()
    path = options.out / "out_of_fold.npz"
    if path.is_file():
        with np.load(path) as known:
            if str(known["key"]) == key:
                return known["probabilities"], known["folds"]
    probabilities, folds = out_of_fold(
        prepared,
        head,
        pooling=settings.pooling,
        views=views,
        folds=options.folds,
        seeds=seeds,
    )
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        np.savez(
            file, key=key, probabilities=probabilities, folds=folds, classes=np.array(prepared.classes.ids)
        )
    draft.replace(path)
    return probabilities, folds


def run_review(options: argparse.Namespace) -> None:
    """Write a review page from what `clean` wrote: another choice of suspects, or decisions to go on from."""
    _write_page(options, options.output, options.suspects)
    print(f"wrote {options.output}")


def _write_page(options: argparse.Namespace, page: Path, folder: Path) -> None:
    suspects = read_suspects(folder / SUSPECTS)
    if getattr(options, "unrelated", False):
        suspects = [one for one in suspects if one.relation != PART_OF]
    sample = getattr(options, "sample", None)
    if sample is not None:
        order = np.random.default_rng(options.seed).permutation(len(suspects))[:sample]
        suspects = [suspects[place] for place in order.tolist()]
    examples: dict[str, list[str]] = _read_json(folder / EXAMPLES)
    decided = None
    if options.decisions is not None:
        task = _read_json(folder / SUMMARY)["settings"]["task"]
        decided = read_decisions(options.decisions, task)
    shown = suspects[: options.limit]
    write_review(
        page, shown, options.data, examples, sorted(examples), decided=decided, title="Suspect labels"
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}. Run `clean` again.") from error
    return content
