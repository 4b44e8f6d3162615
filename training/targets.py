"""Targets: a table that says which part each picture is in, and what is known about it for every head.

A CSV file with the columns of a run's `split.csv` (`file`, `label`, `source`, `licence`, `group`, `part`, and `task`
where the pictures are of several) and, behind `targets:`, one column for each head. An empty cell means that nobody
knows. Where the values of a column have the form PARENT/VALUE, as groups within product types have, each parent has a
head of its own: a softmax over its values alone.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import Picture
from training.errors import DataError
from training.head_set import UNKNOWN, Head, HeadSet
from training.reading import locate
from training.tables import csv_table

#: How the header of a head's column starts.
PREFIX = "targets:"
#: The columns about the picture itself.
COLUMNS = ("file", "task", "label", "source", "licence", "group", "part")


@dataclass(frozen=True, slots=True)
class Targets:
    """Pictures with their parts and what is known about them.

    Attributes:
        pictures: Those in files of their own without digests.
        parts: The part of each.
        values: For each column of a head, the value of each picture; empty where unknown.
    """

    pictures: tuple[Picture, ...]
    parts: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]

    def places(self, *parts: str) -> NDArray[np.int64]:
        """The places of the pictures of some parts, int64, ascending."""
        return np.array([place for place, part in enumerate(self.parts) if part in parts], np.int64)

    def classes(self, heads: HeadSet) -> NDArray[np.int64]:
        """The class of each picture for each head, int64 [pictures, heads]; `UNKNOWN` where nobody knows.

        Nothing is known of a head that the table has no column for: products teach a network their types alone.

        Raises:
            DataError: A picture of the training part has a value that its head has no class for.
        """
        found = np.full((len(self.pictures), len(heads.heads)), UNKNOWN, np.int64)
        for number, head in enumerate(heads.heads):
            column, _, parent = head.name.partition("/")
            place_of = {one: place for place, one in enumerate(head.ids)}
            for place, value in enumerate(self.values.get(column, ())):
                before, slash, after = value.partition("/")
                if not value or (parent and before != parent):
                    continue
                value = after if slash and parent else value
                if value not in place_of and self.parts[place] != "train":
                    # Nobody could have learnt it: as a measure of the head it is left out.
                    continue
                if value not in place_of:
                    raise DataError(
                        f"{self.pictures[place].name} has {value!r} for {head.name}, which that head does not know."
                    )
                found[place, number] = place_of[value]
        return found

    def new_heads(self, known: HeadSet, weights: Mapping[str, float]) -> HeadSet:
        """The heads of the columns that a network does not have yet, with the classes of the training part.

        Args:
            known: The network's heads.
            weights: What the loss of a head counts for, by its column; others count 1.

        Returns:
            The new heads, in the order of the columns, their classes sorted. A parent with a single value needs none.

        Raises:
            DataError: A weight is for no new column: none of that name, or the network has its heads already.
        """
        has = {head.name for head in known.heads}
        heads = []
        for column in self.values:
            values = sorted({self.values[column][place] for place in self.places("train").tolist()} - {""})
            families: dict[str, list[str]] = {}
            for value in values:
                parent, slash, own = value.partition("/")
                name = f"{column}/{parent}" if slash else column
                families.setdefault(name, []).append(own if slash else value)
            for name, classes in families.items():
                if name not in has and len(classes) > 1:
                    heads.append(Head(name, tuple(classes), tuple(classes), weights.get(column, 1.0)))
        columns = self.values.keys() - {name.partition("/")[0] for name in has}
        columns |= {head.name.partition("/")[0] for head in heads}
        strange = [name for name in weights if name not in columns]
        if strange:
            raise DataError(
                f"--head-weight {strange[0]}: no new head is of a column of that name; new are "
                f"{', '.join(sorted(columns)) or 'none'}. Heads that the run has keep their weight."
            )
        return HeadSet(tuple(heads))


def read_targets(path: Path, root: Path) -> Targets:
    """Read a table of targets.

    Args:
        path: The CSV file.
        root: The folder of the pictures, or of the shards that hold them.

    Returns:
        The table.

    Raises:
        DataError: No such file, a column is missing, or no column of a head is there.
    """
    try:
        with csv_table(path) as reader:
            names = list(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The targets {path} cannot be read: {error}") from error
    missing = [name for name in ("file", "label", "part") if name not in names]
    heads = [name for name in names if name.startswith(PREFIX)]
    if missing or not heads:
        raise DataError(
            f"{path} has no column {', '.join(missing) or PREFIX + 'NAME'}. "
            "It needs file, label, part and a column for each head, as `python -m training targets` writes them."
        )
    listed = [
        Picture(
            row["file"], root / row["file"], row["label"], "", row.get("source", ""), row.get("licence", "")
        )
        for row in rows
    ]
    # One that is not there is told when it is asked for: an export needs those of its own task alone.
    found = {one.name: one for one in locate(listed, root)[0]}
    return Targets(
        tuple(found.get(one.name, one) for one in listed),
        tuple(row["part"] for row in rows),
        {name.removeprefix(PREFIX): tuple(row[name] or "" for row in rows) for name in heads},
    )


def write_targets(
    path: Path, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Sequence[str]]
) -> None:
    """Write a table of targets.

    Args:
        path: The CSV file.
        rows: For each picture, `COLUMNS`.
        columns: For each head's column, the value of each picture.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *(PREFIX + name for name in columns)])
        for place, row in enumerate(rows):
            writer.writerow(
                [*(row[name] for name in COLUMNS), *(column[place] for column in columns.values())]
            )
