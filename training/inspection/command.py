"""The command `python -m training inspect`: a look at the data before training."""

import argparse
import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

from training.data import Dataset, Picture
from training.grouping import HASH_DISTANCE
from training.inspection.findings import findings
from training.inspection.make import write_inspection
from training.inspection.parts import Parts, read_parts
from training.inspection.sheets import MOST
from training.reading import read_data
from training.shards import find_shards


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `inspect`."""
    command.add_argument(
        "--data",
        type=Path,
        required=True,
        help="a folder of class folders or of TFRecord shards, or the folder that the manifest means",
    )
    command.add_argument("--manifest", type=Path, help="CSV or Parquet, see docs/data.md")
    command.add_argument(
        "--task",
        nargs="+",
        default=["sport"],
        help="which of the manifest's rows, or of the shards'; several are looked at together (default: sport)",
    )
    command.add_argument("--split", type=Path, help="a run's split.csv: also look across its parts")
    command.add_argument("--cache", type=Path, required=True, help="the folder for hashes")
    command.add_argument("--output", type=Path, required=True, help="the report's folder")
    command.add_argument(
        "--distance",
        type=_up_to(31),
        default=HASH_DISTANCE,
        metavar="BITS",
        help="the most bits of 64 in which near-duplicates differ (default: %(default)s)",
    )
    command.add_argument(
        "--shown",
        type=_up_to(MOST),
        default=60,
        metavar="PICTURES",
        help=f"pictures of a class on its contact sheet, up to {MOST}; 0: no sheets (default: %(default)s)",
    )


def _up_to(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text) if text.isdecimal() else -1
        if not 0 <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {most}")
        return value

    return read


def run_inspection(options: argparse.Namespace) -> None:
    """Look at the options' pictures, write the report, and print what is amiss."""
    data = read_tasks(options.data, options.manifest, options.task)
    parts: Parts | None = None
    if options.split is not None:
        parts = read_parts(options.split, {one.name for one in data.pictures}, options.task)
    told = options.manifest is not None or find_shards(options.data)
    report = write_inspection(
        data,
        options.output,
        options.cache,
        name=f"{options.data.resolve().name}: {', '.join(options.task)}"
        if told
        else options.data.resolve().name,
        parts=parts,
        distance=options.distance,
        shown=options.shown,
    )
    print(f"{report['data']['pictures']} pictures, {report['data']['classes']} classes")
    for _, sentence in findings(report):
        print(sentence)
    print(f"written {options.output / 'index.html'}")


def read_tasks(root: Path, manifest: Path | None, tasks: list[str]) -> Dataset:
    """Read the pictures of one task, or of several together.

    Args:
        root: As in `reading.read_data`.
        manifest: As in `reading.read_data`.
        tasks: The tasks. Of several, each label is written as `task: label`.

    Returns:
        The data, in the order of names, and each picture as of the task that it was read for.

    Raises:
        DataError: As `reading.read_data`.
    """
    if len(tasks) == 1 or (manifest is None and not find_shards(root)):
        data = read_data(root, manifest, task=tasks[0])
        # An example without a task belongs to every one.
        return dataclasses.replace(
            data, pictures=tuple(dataclasses.replace(one, task=tasks[0]) for one in data.pictures)
        )
    read = {task: read_data(root, manifest, task=task) for task in tasks}
    pictures: list[Picture] = [
        dataclasses.replace(one, label=f"{task}: {one.label}", task=task)
        for task, data in read.items()
        for one in data.pictures
    ]
    problems = dict.fromkeys(itertools.chain.from_iterable(data.problems for data in read.values()))
    empty = tuple(f"{task}: {label}" for task, data in read.items() for label in data.empty)
    return Dataset(tuple(sorted(pictures, key=lambda one: one.name)), tuple(problems), empty)
