"""Which part of a split each picture is in."""

import csv
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from training.errors import DataError
from training.tables import csv_table

#: The parts in the order in which a person expects them; others come after, by name.
_USUAL = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Parts:
    """A split, as far as it is about the pictures at hand.

    Attributes:
        of: The part by the picture's name.
        names: The parts that have pictures.
        not_in_data: How many of the split's pictures, of the tasks asked for, are not in the data.
    """

    of: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    not_in_data: int = 0


def read_parts(split: Path, names: Collection[str], tasks: Collection[str]) -> Parts:
    """Read a split file.

    Args:
        split: CSV with the columns `file` and `part`, as a run writes it; a column `task` may tell tasks apart.
        names: The names of the pictures in the data.
        tasks: The tasks that the data are of.

    Returns:
        The parts.

    Raises:
        DataError: It cannot be read, lacks a column, puts a picture into two parts, or knows none of the pictures.
    """
    known = set(names)
    part_of: dict[str, str] = {}
    others = 0
    try:
        with csv_table(split) as reader:
            missing = [column for column in ("file", "part") if column not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{split} is no split file: it has no column {', '.join(missing)}.")
            for row in reader:
                if row["file"] in known:
                    if part_of.setdefault(row["file"], row["part"]) != row["part"]:
                        raise DataError(f"{split}, line {reader.line_num}: {row['file']} is in two parts.")
                elif row.get("task") is None or row["task"] in tasks:
                    others += 1
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The split file {split} cannot be read: {error}") from error
    if not part_of:
        raise DataError(f"{split} knows none of these pictures. Is it a split of other data?")
    found = set(part_of.values())
    ordered = [name for name in _USUAL if name in found] + sorted(found - set(_USUAL))
    return Parts(part_of, tuple(ordered), others)
