"""The list of suspects: pictures whose labels are likely wrong, the most suspicious first, as `suspects.csv`."""

import csv
import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalogue import load_catalogue
from training.cleaning.confident import estimate_noise, find_suspects, predicted_instead, scores
from training.cleaning.decisions import DROP, Decision
from training.errors import DataError
from training.pipeline import Prepared
from training.split import PARTS
from training.tables import csv_table

#: One label is a part of the other, by the catalogue: both may be right.
PART_OF = "part"
#: Both labels are parts of the same sport.
SIBLING = "sibling"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A picture whose label is likely wrong.

    Attributes:
        file: The picture's name in the data.
        label: Its label.
        predicted: The label that heads which never saw it prefer, in the data's spelling.
        label_probability: What they give the label.
        predicted_probability: What they give the preferred one.
        score: How suspicious, from 0 to 1, see `confident.scores`.
        relation: `PART_OF` or `SIBLING` where the labels are related, else empty.
        part: The part of the split that the picture is in.
        source: Which collection it came from.
    """

    file: str
    label: str
    predicted: str
    label_probability: float
    predicted_probability: float
    score: float
    relation: str
    part: str
    source: str


def relation_of(label: str, other: str) -> str:
    """How two labels are related in the catalogue: `PART_OF`, `SIBLING` or empty."""
    catalogue = load_catalogue()
    first, second = catalogue.by_name(label), catalogue.by_name(other)
    if first is None or second is None:
        return ""
    if first in catalogue.ancestors(second) or second in catalogue.ancestors(first):
        return PART_OF
    return SIBLING if first.parent is not None and first.parent == second.parent else ""


def list_suspects(
    prepared: Prepared,
    probabilities: NDArray[np.float32],
    judged: NDArray[np.bool_],
    *,
    method: str = "both",
    ranking: str = "margin",
) -> tuple[list[Suspect], float]:
    """List the suspects of prepared data.

    The noise is estimated on training and validation part; the test part is taken to be as noisy.

    Args:
        prepared: The data.
        probabilities: float32 [pictures, classes], from `folds.out_of_fold`.
        judged: bool [pictures], from `folds.judgeable`; the others are never suspects.
        method: See `confident.find_suspects`.
        ranking: See `confident.scores`.

    Returns:
        The suspects, the most suspicious first, and the estimated share of wrong labels.
    """
    pictures = prepared.data.pictures
    labels = np.array([prepared.classes.of_label[picture.label] for picture in pictures], np.int64)
    part_of = np.array([PARTS[0]] * len(pictures), dtype=object)
    for part in PARTS:
        part_of[getattr(prepared.split, part)] = part
    seen = part_of != "test"
    estimate = estimate_noise(labels[seen & judged], probabilities[seen & judged])
    chosen = np.zeros(len(pictures), np.bool_)
    for rows in (np.flatnonzero(seen & judged), np.flatnonzero(~seen & judged)):
        chosen[rows] = find_suspects(labels[rows], probabilities[rows], estimate, method=method)

    names = spellings(prepared)
    suspicion = scores(labels, probabilities, ranking)
    instead = predicted_instead(labels, probabilities)
    found = [
        Suspect(
            file=pictures[row].name,
            label=pictures[row].label,
            predicted=names[int(instead[row])],
            label_probability=round(float(probabilities[row, labels[row]]), 4),
            predicted_probability=round(float(probabilities[row, instead[row]]), 4),
            score=round(float(suspicion[row]), 4),
            relation=relation_of(pictures[row].label, names[int(instead[row])]),
            part=str(part_of[row]),
            source=pictures[row].source,
        )
        for row in np.flatnonzero(chosen).tolist()
    ]
    return sorted(found, key=lambda one: (-one.score, one.file)), estimate.noise


def spellings(prepared: Prepared) -> list[str]:
    """How the data spells each class, most often."""
    counts = Counter(picture.label for picture in prepared.data.pictures)
    names = [""] * len(prepared.classes.ids)
    for label, _ in sorted(counts.items(), key=lambda item: item[1]):
        names[prepared.classes.of_label[label]] = label
    return names


def write_suspects(path: Path, suspects: Sequence[Suspect]) -> None:
    """Write suspects as CSV, with a header, in their order."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in dataclasses.fields(Suspect))
        writer.writerows(dataclasses.astuple(one) for one in suspects)
    draft.replace(path)


def read_suspects(path: Path) -> list[Suspect]:
    """Read what `write_suspects` wrote.

    Raises:
        DataError: No such file, or another kind of file.
    """
    try:
        with csv_table(path) as rows:
            return [_suspect_from(row) for row in rows]
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path} is no list of suspects that `clean` wrote: {error}") from error


def _suspect_from(row: dict[str, str]) -> Suspect:
    return Suspect(
        file=row["file"],
        label=row["label"],
        predicted=row["predicted"],
        label_probability=float(row["label_probability"]),
        predicted_probability=float(row["predicted_probability"]),
        score=float(row["score"]),
        relation=row["relation"],
        part=row["part"],
        source=row["source"],
    )


def drop_top(
    suspects: Sequence[Suspect], labels: Iterable[str], top: int, *, keep_at_least: int = 5
) -> list[Decision]:
    """Decide, without a person, to drop the most suspicious pictures outside the test part.

    Pictures whose label and prediction are related in the catalogue are passed over, as both may be right.

    Args:
        suspects: The most suspicious first.
        labels: The label of every picture outside the test part.
        top: How many to drop.
        keep_at_least: No label is left with fewer pictures by this.

    Returns:
        At most `top` decisions.
    """
    left = Counter(labels)
    decisions: list[Decision] = []
    for one in suspects:
        if len(decisions) == top:
            break
        if one.part == "test" or one.relation or left[one.label] <= keep_at_least:
            continue
        left[one.label] -= 1
        why = f"predicted {one.predicted}, score {one.score:.3f}"
        decisions.append(Decision(one.file, DROP, by="confident learning", why=why))
    return decisions
