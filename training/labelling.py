"""Targets for all heads at once, out of what is known: a manifest of several tasks, label files, and the taxonomy.

All tasks share one split, so that no head is measured on a picture, or on one that looks like it, that another head
was trained on.
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalogue import Products, load_catalogue, load_products
from training.answers import GROUP, TYPE
from training.backbones import BackboneSettings
from training.classes import find_classes
from training.data import Dataset, Picture, read_manifest
from training.errors import DataError
from training.manifest import manifest_rows
from training.pipeline import embed_and_group
from training.settings import TrainSettings
from training.split import PARTS, split_groups
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
            with (folder / name).open(encoding="utf-8", newline="") as file:
                read = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError) as error:
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
    manifest: Path, root: Path, cache: Path, output: Path, settings: TrainSettings, labels: Labels
) -> dict[str, dict[str, int]]:
    """Group and split the pictures of all tasks together, and write what is known of each for every head.

    Environment and participation of test pictures come from eyes alone; elsewhere a sport's certain value stands for
    pictures nobody looked at.

    Args:
        manifest: A manifest with the tasks of `TASKS`.
        root: The folder that its files are relative to.
        cache: The folder of all caches.
        output: The file to write, see `targets`.
        settings: The backbone whose features tell what looks alike, and the shares and the seed of the split.
        labels: Labels beside the manifest.

    Returns:
        How many pictures of each task are in each part.

    Raises:
        DataError: The manifest lacks a task or holds a label that nobody knows.
    """
    data = {task: read_manifest(manifest, root, task=task) for task in TASKS}
    task_of = {picture.name: task for task in TASKS for picture in data[task].pictures}
    everything = Dataset(
        tuple(
            sorted(
                (picture for one in data.values() for picture in one.pictures),
                key=lambda picture: picture.name,
            )
        )
    )
    kept, groups = embed_and_group(everything, settings, cache)
    pictures = kept.pictures
    tasks = [task_of[picture.name] for picture in pictures]
    split = split_groups(
        [f"{task}/{picture.label}" for task, picture in zip(tasks, pictures, strict=True)],
        groups,
        validation=settings.validation,
        test=settings.test,
        seed=settings.seed,
    )
    part_of = {place: part for part in PARTS for place in getattr(split, part).tolist()}
    rows = [
        {
            "file": picture.name,
            "task": tasks[place],
            "label": picture.label,
            "source": picture.source,
            "licence": picture.licence,
            "group": int(groups[place]),
            "part": part_of[place],
        }
        for place, picture in enumerate(pictures)
    ]
    product_groups = {row.file: row.group for row in manifest_rows(manifest) if row.task == "product"}
    write_targets(output, rows, _columns(pictures, rows, labels, product_groups))
    return {
        task: {part: sum(row["task"] == task and row["part"] == part for row in rows) for part in PARTS}
        for task in TASKS
    }


def _columns(
    pictures: Sequence[Picture],
    rows: Sequence[Mapping[str, Any]],
    labels: Labels,
    product_groups: Mapping[str, str],
) -> dict[str, list[str]]:
    sports = find_classes(row["label"] for row in rows if row["task"] == "sport")
    products = load_products(load_catalogue())
    columns: dict[str, list[str]] = {"sport": [], "is_sport": [], **{tag: [] for tag in _TAGS}}
    columns |= {TYPE: [], GROUP: []}
    for picture, row in zip(pictures, rows, strict=True):
        cells = dict.fromkeys(columns, "")
        if row["task"] == "sport":
            cells["sport"] = sports.ids[sports.of_label[picture.label]]
            cells["is_sport"] = "yes"
            by_sport = labels.by_sport.get(picture.label, {}) if row["part"] != "test" else {}
            cells |= labels.by_eye.get(picture.name, by_sport)
        elif row["task"] == "negative":
            cells["is_sport"] = "no"
        else:
            cells[TYPE], cells[GROUP] = _product(products, picture.label, product_groups[picture.name])
        if picture.name in labels.is_sport:
            cells["is_sport"] = labels.is_sport[picture.name]
        for name, value in cells.items():
            columns[name].append(value)
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
    command.add_argument("--validation", type=float, default=0.08, help="share of the pictures")
    command.add_argument("--test", type=float, default=0.1, help="share of the pictures")
    command.add_argument("--seed", type=int, default=0)


def run_targets(options: argparse.Namespace) -> None:
    """Write the table, and say how many pictures are where."""
    settings = TrainSettings(
        backbone=BackboneSettings(options.backbone, options.backbone_weights),
        validation=options.validation,
        test=options.test,
        seed=options.seed,
    )
    counts = write_all_targets(
        options.manifest, options.data, options.cache, options.output, settings, read_labels(options.labels)
    )
    for task, parts in counts.items():
        print(f"{task}: " + ", ".join(f"{count} {part}" for part, count in parts.items()))
