"""Decisions about single pictures: read from a file, written, and applied to prepared data."""

import csv
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.classes import find_classes, vocabulary
from training.data import Dataset, Picture
from training.errors import DataError
from training.pipeline import Prepared
from training.split import PARTS, Split
from training.tables import csv_table

KEEP, RELABEL, DROP = "keep", "relabel", "drop"
COLUMNS = ("file", "decision", "label", "by", "why")


@dataclass(frozen=True, slots=True)
class Decision:
    """What shall be done with one picture.

    Attributes:
        file: The picture's name in the data.
        decision: `keep`, `relabel` or `drop`.
        label: The right label where it is `relabel`, else empty.
        by: Who decided.
        why: The reason.
    """

    file: str
    decision: str
    label: str = ""
    by: str = ""
    why: str = ""


def read_decisions(path: Path, task: str = "sport") -> dict[str, Decision]:
    """Read a decisions file.

    Args:
        path: A CSV file with the columns `file`, `decision` and `label` and, if wanted, `by` and `why`.
        task: What is labelled, see `classes.find_classes`.

    Returns:
        The decisions by file.

    Raises:
        DataError: No such file, missing columns, or rows that are wrong; all wrong rows are named at once.
    """
    try:
        with csv_table(path) as reader:
            missing = [name for name in COLUMNS[:3] if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path} has no column {', '.join(missing)}. It needs file, decision and label."
                )
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The decisions {path} cannot be read: {error}.") from error
    find, what, _ = vocabulary(task)
    decisions: dict[str, Decision] = {}
    problems = []
    for line, row in rows:
        decision = Decision(**{name: (row.get(name) or "").strip() for name in COLUMNS})
        wrong = _wrong_with(decision, decisions, find, what)
        if wrong:
            problems.append(f"line {line}: {wrong}")
        decisions[decision.file] = decision
    if problems:
        more = f", and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise DataError(f"{path} cannot be used: {'; '.join(problems[:10])}{more}.")
    return decisions


def _wrong_with(
    decision: Decision, earlier: Mapping[str, Decision], find: Callable[[str], object], what: str
) -> str:
    if not decision.file:
        return "there is no file"
    if decision.decision not in {KEEP, RELABEL, DROP}:
        return f"{decision.file}: the decision is keep, relabel or drop, not {decision.decision!r}"
    if decision.decision != RELABEL and decision.label:
        return f"{decision.file}: {decision.decision} takes no label, but there is {decision.label!r}"
    if decision.decision == RELABEL and not decision.label:
        return f"{decision.file}: relabel needs the right label"
    if decision.label and find(decision.label) is None:
        return f"{decision.file}: the {what} does not know the label {decision.label!r}"
    if decision.file in earlier:
        return f"{decision.file} is decided twice"
    return ""


def write_decisions(path: Path, decisions: Iterable[Decision]) -> None:
    """Write a decisions file that `read_decisions` reads, in the order of the files' names."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            dataclasses.astuple(one) for one in sorted(decisions, key=lambda decision: decision.file)
        )
    draft.replace(path)


def apply_decisions(
    prepared: Prepared, decisions: Mapping[str, Decision], *, on_test: bool = False
) -> tuple[Prepared, dict[str, int]]:
    """Relabel and drop pictures of prepared data; each picture left stays in its part.

    The parts were made before, from the labels as given, so that figures with and without decisions are of the same
    test pictures. The test part itself is left as it is unless asked otherwise: a test that is cleaned by looking at
    a model's mistakes flatters the model.

    Args:
        prepared: The data.
        decisions: By file.
        on_test: Whether the test part is changed too.

    Returns:
        The changed data, and counts: of decisions `kept`, `relabelled` and `dropped`, and of those not applied
        because their picture is `in_test` or `not_in_data`.

    Raises:
        DataError: No decision is about a picture of the data, or a class would be left without training pictures.
    """
    in_test = {prepared.data.pictures[position].name for position in prepared.split.test.tolist()}
    names = {picture.name for picture in prepared.data.pictures}
    about = {name: one for name, one in decisions.items() if name in names}
    if decisions and not about:
        raise DataError(
            f"None of the {len(decisions)} decisions is about a picture of the data, for instance "
            f"{next(iter(decisions))}. The decisions name files as the manifest does."
        )
    applied = {name: one for name, one in about.items() if on_test or name not in in_test}
    pictures = [relabelled(picture, applied.get(picture.name)) for picture in prepared.data.pictures]
    kept = np.array(
        [position for position, picture in enumerate(pictures) if not is_dropped(applied.get(picture.name))],
        np.int64,
    )
    data = Dataset(tuple(pictures[position] for position in kept.tolist()), prepared.data.problems)
    split = _moved(prepared.split, kept, len(pictures))
    _check_classes(prepared, data, split)
    changed = dataclasses.replace(
        prepared,
        data=data,
        classes=find_classes(data.labels, prepared.classes.task),
        groups=prepared.groups[kept],
        split=split,
    )
    kinds = Counter(one.decision for one in applied.values())
    return changed, {
        "kept": kinds[KEEP],
        "relabelled": kinds[RELABEL],
        "dropped": kinds[DROP],
        "in_test": len(about) - len(applied),
        "not_in_data": len(decisions) - len(about),
    }


def relabelled(picture: Picture, decision: Decision | None) -> Picture:
    """The picture with the label that was decided, if another was."""
    if decision is None or decision.decision != RELABEL:
        return picture
    return dataclasses.replace(picture, label=decision.label)


def is_dropped(decision: Decision | None) -> bool:
    """Whether it was decided to leave the picture out."""
    return decision is not None and decision.decision == DROP


def _moved(split: Split, kept: NDArray[np.int64], count: int) -> Split:
    """The split in positions among the pictures that were kept."""
    new = np.full(count, -1, np.int64)
    new[kept] = np.arange(len(kept))
    moved = {part: new[getattr(split, part)] for part in PARTS}
    return Split(**{part: positions[positions >= 0] for part, positions in moved.items()})


def _check_classes(prepared: Prepared, data: Dataset, split: Split) -> None:
    before, after = prepared.classes, find_classes(data.labels, prepared.classes.task)
    trained = {after.ids[after.of_label[data.pictures[position].label]] for position in split.train.tolist()}
    lost = [name for one, name in zip(before.ids, before.names, strict=True) if one not in trained]
    if lost:
        raise DataError(
            f"The decisions leave no training picture of {', '.join(lost)}. Keep one, or take the class out."
        )
