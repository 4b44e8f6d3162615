"""The file of a split, `split.csv`: which part, and which group of like pictures, each picture is in."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import Picture
from training.errors import DataError
from training.reading import locate
from training.split import PARTS, Split
from training.tables import csv_table

_COLUMNS = ("file", "label", "source", "licence", "group", "part")


def write_split(path: Path, pictures: Sequence[Picture], groups: NDArray[np.int64], split: Split) -> None:
    """Write which picture is in which part, and in which group of like pictures.

    Args:
        path: The file.
        pictures: The pictures.
        groups: int64 [pictures].
        split: The parts, which hold every picture.
    """
    part_of = {position: part for part in PARTS for position in getattr(split, part).tolist()}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for position, one in enumerate(pictures):
            writer.writerow(
                [one.name, one.label, one.source, one.licence, groups[position], part_of[position]]
            )


def read_split(path: Path, root: Path, part: str, task: str | None = None) -> list[Picture]:
    """Read the pictures of one part.

    Args:
        path: The file.
        root: The folder of the pictures, or of the shards that hold them.
        part: One of `split.PARTS`, or `all`.
        task: Only the pictures of this task, where the file has pictures of several.

    Returns:
        The pictures, those in files of their own without digests.

    Raises:
        DataError: No such file, a part without pictures, a picture in a part that there is not while one part is
            asked for, or pictures that are not under the folder.
    """
    rows = _rows(path, "label", "source", "licence", "part")
    if part in PARTS:
        _check_parts(path, rows)
    listed = [
        Picture(row["file"], root / row["file"], row["label"], "", row["source"], row["licence"])
        for row in rows
        if part in {row["part"], "all"} and (task is None or row.get("task") in {task, None})
    ]
    pictures, missing = locate(listed, root)
    if missing or not pictures:
        raise DataError(
            f"{len(missing)} of the {len(listed)} pictures of part {part!r} are not under {root}"
            f"{', for instance ' + missing[0] if missing else ''}. Name the data folder that the run used."
        )
    return pictures


def read_parts(path: Path) -> dict[str, str]:
    """Read the part of each picture, by its name; the pictures themselves are not looked for.

    Raises:
        DataError: No such file, a part without pictures, or a picture in a part that there is not.
    """
    rows = _rows(path, "part")
    _check_parts(path, rows)
    part_of = {row["file"]: row["part"] for row in rows}
    empty = [part for part in PARTS if part not in part_of.values()]
    if empty:
        raise DataError(f"{path} has no picture in the part {empty[0]!r}.")
    return part_of


def read_places(path: Path, pictures: Sequence[Picture]) -> tuple[list[str], NDArray[np.int64]]:
    """Read the part and the group of like pictures of some pictures.

    Args:
        path: The file.
        pictures: The pictures.

    Returns:
        The part of each, and its group, int64 [pictures].

    Raises:
        DataError: No such file, a picture or its group is not in it, or a picture is in a part that there is not.
    """
    rows = {row["file"]: row for row in _rows(path, "part", "group")}
    missing = [picture.name for picture in pictures if picture.name not in rows]
    if missing:
        raise DataError(
            f"{path} is no split of these pictures: {len(missing)} are not in it, for instance {missing[0]}."
        )
    own = [rows[picture.name] for picture in pictures]
    _check_parts(path, own)
    try:
        groups = np.array([int(row["group"]) for row in own], np.int64)
    except ValueError as error:
        raise DataError(f"{path} is no split that a run wrote: {error}") from error
    return [row["part"] for row in own], groups


def _check_parts(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    wrong = next((row for row in rows if row["part"] not in PARTS), None)
    if wrong is not None:
        raise DataError(
            f"{path}: {wrong['file']} is in the part {wrong['part']!r}. The parts are {', '.join(PARTS)}."
        )


def _rows(path: Path, *needed: str) -> list[dict[str, str]]:
    try:
        with csv_table(path) as reader:
            missing = [name for name in ("file", *needed) if name not in (reader.fieldnames or ())]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no split that a run wrote: {error}") from error
    if missing:
        raise DataError(f"{path} is no split that a run wrote: it has no column {', '.join(missing)}.")
    return rows
