"""Targets for all heads at once, out of what is known: a manifest of several tasks, label files, and the taxonomy.

All tasks share one split, so that no head is measured on a picture, or on one that looks like it, that another head
was trained on.
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalogue import Products, load_catalogue, load_products
from training.backbones import BackboneSettings
from training.classes import find_classes
from training.cleaning.decisions import Decision, is_dropped, read_decisions, relabelled
from training.data import Dataset, read_manifest
from training.errors import DataError
from training.head_set import GROUP, TYPE
from training.manifest import manifest_rows
from training.pipeline import embed_and_group
from training.ranges import share
from training.settings import TrainSettings
from training.split import PARTS, split_groups
from training.tables import csv_table
from training.targets import write_targets

#: Where the committed label files lie (see README.md there).
LABELS = Path(__file__).parent / "labels"
TASKS = ("sport", "negative", "product")
_BY_SPORT, _BY_EYE, _IS_SPORT = "sports.csv", "environment_participation.csv", "is_sport.csv"
_HARDER = "judge-mixed"
_TAGS = ("environment", "participation")


@dataclass(frozen=True, slots=True)
class Labels:
    """What people, or careful rules, said about pictures and sports beside the manifest.

    Attributes:
        by_sport: Environment and participation of each sport label where they are certain.
        by_eye: The same of single pictures, by name; a tag that could not be told is empty.
        is_sport: Corrections of single pictures, by name: `yes` or `no`.
        harder: The names of test pictures that were not drawn at random, but from sports that leave the tags open.
    """

    by_sport: Mapping[str, Mapping[str, str]]
    by_eye: Mapping[str, Mapping[str, str]]
    is_sport: Mapping[str, str]
    harder: frozenset[str] = frozenset()


def read_labels(folder: Path = LABELS) -> Labels:
    """Read the label files.

    Args:
        folder: Where they lie.

    Returns:
        The labels.

    Raises:
        DataError: A file is missing or has not the columns it needs.
    """

    def rows(name: str, *columns: str) -> list[dict[str, str]]:
        try:
            with csv_table(folder / name) as table:
                read = list(table)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"The labels {folder / name} cannot be read: {error}") from error
        if read and not set(columns) <= set(read[0]):
            raise DataError(f"{folder / name} needs the columns {', '.join(columns)}.")
        return read

    certain = {"indoor", "outdoor", "single", "team"}
    by_sport = {
        row["label"]: {tag: row[tag] if row[tag] in certain else "" for tag in _TAGS}
        for row in rows(_BY_SPORT, "label", *_TAGS)
    }
    eyes = rows(_BY_EYE, "file", "drawn", *_TAGS)
    by_eye = {row["file"]: {tag: row[tag] for tag in _TAGS} for row in eyes}
    harder = frozenset(row["file"] for row in eyes if row["drawn"] == _HARDER)
    is_sport = {
        row["file"]: "yes" if row["is_sport"] == "1" else "no" for row in rows(_IS_SPORT, "file", "is_sport")
    }
    return Labels(by_sport, by_eye, is_sport, harder)


def write_all_targets(
    manifest: Path,
    root: Path,
    cache: Path,
    output: Path,
    settings: TrainSettings,
    labels: Labels,
    *,
    decisions: Mapping[str, Mapping[str, Decision]] | None = None,
    only: Sequence[str] = TASKS,
) -> dict[str, dict[str, int]]:
    """Group and split the pictures of all tasks together, and write what is known of each for every head.

    Environment and participation of test pictures come from eyes alone; elsewhere a sport's certain value stands for
    pictures nobody looked at. Decisions change labels and drop pictures after the split, and leave the test part as
    it is: so the parts are the same with and without them. Pictures that are missing or cannot be decoded are left
    out, and named on the standard error.

    Args:
        manifest: A manifest with the tasks of `TASKS`.
        root: The folder that its files are relative to.
        cache: The folder of all caches.
        output: The file to write, see `targets`.
        settings: The backbone whose features tell what looks alike, and the shares and the seed of the split.
        labels: Labels beside the manifest.
        decisions: What shall be done with single pictures, by task and name; see `cleaning`.
        only: The tasks whose pictures are written. All of them are split together nonetheless.

    Returns:
        How many pictures of each task are in each part.

    Raises:
        DataError: The manifest lacks a task or holds a label that nobody knows.
    """
    data = {task: read_manifest(manifest, root, task=task) for task in TASKS}
    everything = Dataset(
        tuple(
            sorted(
                (picture for one in data.values() for picture in one.pictures),
                key=lambda picture: picture.name,
            )
        ),
        tuple(problem for one in data.values() for problem in one.problems),
    )
    kept, groups = embed_and_group(everything, settings, cache)
    for problem in kept.problems:
        print(f"left out: {problem}", file=sys.stderr)
    pictures = kept.pictures
    split = split_groups(
        [f"{picture.task}/{picture.label}" for picture in pictures],
        groups,
        validation=settings.validation,
        test=settings.test,
        seed=settings.seed,
    )
    part_of = {place: part for part in PARTS for place in getattr(split, part).tolist()}
    rows = []
    product_groups = {row.file: row.group for row in manifest_rows(manifest) if row.task == "product"}
    for place, picture in enumerate(pictures):
        of_task = (decisions or {}).get(picture.task, {})
        decision = of_task.get(picture.name) if part_of[place] != "test" else None
        if picture.task not in only or is_dropped(decision):
            continue
        decided = relabelled(picture, decision)
        if decided is not picture and picture.task == "product":
            product_groups.pop(picture.name, None)  # it was said of another type
        rows.append(
            {
                "file": picture.name,
                "task": picture.task,
                "label": decided.label,
                "source": picture.source,
                "licence": picture.licence,
                "group": int(groups[place]),
                "part": part_of[place],
            }
        )
    columns = _columns(rows, labels, product_groups)
    write_targets(output, rows, {name: cells for name, cells in columns.items() if any(cells)})
    return {
        task: {part: sum(row["task"] == task and row["part"] == part for row in rows) for part in PARTS}
        for task in only
    }


def _columns(
    rows: Sequence[Mapping[str, Any]], labels: Labels, product_groups: Mapping[str, str]
) -> dict[str, list[str]]:
    labelled = [row["label"] for row in rows if row["task"] == "sport"]
    sports = find_classes(labelled) if labelled else None
    products = load_products(load_catalogue())
    columns: dict[str, list[str]] = {"sport": [], "is_sport": [], **{tag: [] for tag in _TAGS}}
    columns |= {TYPE: [], GROUP: []}
    for row in rows:
        cells = dict.fromkeys(columns, "")
        name, label = row["file"], row["label"]
        if row["task"] == "sport" and sports is not None:
            cells["sport"] = sports.ids[sports.of_label[label]]
            cells["is_sport"] = "yes"
            by_sport = labels.by_sport.get(label, {}) if row["part"] != "test" else {}
            cells |= labels.by_eye.get(name, by_sport)
        elif row["task"] == "negative":
            cells["is_sport"] = "no"
        else:
            cells[TYPE], cells[GROUP] = _product(products, label, product_groups.get(name, ""))
        cells["is_sport"] = labels.is_sport.get(name, cells["is_sport"])
        for column, value in cells.items():
            columns[column].append(value)
    return columns


def _product(products: Products, label: str, group: str) -> tuple[str, str]:
    one = products.by_name(label)
    if one is None:
        raise DataError(f"The taxonomy (catalogue/products.json) has no product type {label!r}.")
    try:
        found = products.group_of_label(label, group)
    except KeyError as error:
        raise DataError(f"The taxonomy (catalogue/products.json): {error.args[0]}.") from error
    return one.id, f"{one.id}/{found.name}" if found else ""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `targets` to a parser."""
    command.add_argument("--data", type=Path, required=True, help="the folder that the manifest means")
    command.add_argument(
        "--manifest", type=Path, required=True, help="a manifest with sport, negative, product"
    )
    command.add_argument("--cache", type=Path, required=True, help="the folder for hashes and features")
    command.add_argument("--output", type=Path, required=True, help="the table to write, a CSV file")
    command.add_argument("--labels", type=Path, default=LABELS, help="the folder of label files")
    command.add_argument("--backbone", default="MobileNetV2", help="tells by its features what looks alike")
    command.add_argument("--backbone-weights", default="imagenet", help="its weights; default: downloaded")
    command.add_argument("--validation", type=share, default=0.08, help="share of the pictures")
    command.add_argument("--test", type=share, default=0.1, help="share of the pictures")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--decisions",
        type=_of_task,
        action="append",
        default=[],
        metavar="TASK=FILE",
        help="keep, relabel or drop pictures outside the test part as this CSV file says; repeatable",
    )
    command.add_argument(
        "--only", action="append", choices=TASKS, help="write this task's pictures alone; repeatable"
    )


def _of_task(text: str) -> tuple[str, Path]:
    task, _, path = text.partition("=")
    if task not in TASKS or not path:
        raise argparse.ArgumentTypeError(
            f"{text!r}: decisions are given as TASK=FILE, for instance sport=decisions.csv; tasks: {', '.join(TASKS)}"
        )
    return task, Path(path)


def run_targets(options: argparse.Namespace) -> None:
    """Write the table, and say how many pictures are where."""
    settings = TrainSettings(
        backbone=BackboneSettings(options.backbone, options.backbone_weights),
        validation=options.validation,
        test=options.test,
        seed=options.seed,
    )
    decided: dict[str, dict[str, Decision]] = {}
    for task, path in options.decisions:
        decided.setdefault(task, {}).update(read_decisions(path, task))
    counts = write_all_targets(
        options.manifest,
        options.data,
        options.cache,
        options.output,
        settings,
        read_labels(options.labels),
        decisions=decided,
        only=options.only or TASKS,
    )
    for task, parts in counts.items():
        print(f"{task}: " + ", ".join(f"{count} {part}" for part, count in parts.items()))
