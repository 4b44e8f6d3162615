"""Figures of the heads beside the classes: is it sport, where, alone or in a team; and a product's sports groups."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.intervals import share
from training.targets import Targets

if TYPE_CHECKING:
    from training.served import ExportedModel


def auroc(scores: NDArray[np.floating[Any]], truth: NDArray[np.bool_]) -> float:
    """The chance that a picture that is gets a higher score than one that is not; ties count half.

    The area under the ROC curve by way of Mann and Whitney's U (Fawcett 2006, "An introduction to ROC analysis").

    Args:
        scores: float [n].
        truth: bool [n].

    Returns:
        Between 0 and 1; nan where one side is empty.
    """
    yes, no = np.sort(scores[truth]), np.sort(scores[~truth])
    if not len(yes) or not len(no):
        return float("nan")
    below, up_to = np.searchsorted(no, yes, "left"), np.searchsorted(no, yes, "right")
    return float((below + up_to).sum() / 2 / len(yes) / len(no))


def best_threshold(scores: NDArray[np.floating[Any]], truth: NDArray[np.bool_]) -> float:
    """The threshold with the highest sum of the two shares that are told right (Youden 1950), midway between scores.

    Args:
        scores: float [n], of pictures that no figure is given for.
        truth: bool [n], of both kinds.

    Returns:
        The threshold; a score at or above it means yes.
    """
    levels = np.unique(scores)
    middles = np.concatenate([[levels[0]], (levels[1:] + levels[:-1]) / 2])
    yes, no = np.sort(scores[truth]), np.sort(scores[~truth])
    found = (len(yes) - np.searchsorted(yes, middles)) / len(yes)
    refused = np.searchsorted(no, middles) / len(no)
    return float(middles[np.argmax(found + refused)])


def measure_beside(
    model: "ExportedModel", table: Targets, heads: Sequence[str], harder: Collection[str] = ()
) -> dict[str, Any]:
    """Measure the heads beside the classes, as far as the table has pictures to measure them on.

    Args:
        model: The exported model.
        table: The targets.
        heads: The heads' names; `is_sport` is measured by `measure_is_sport`, the others by `measure_tag`.
        harder: See `measure_tag`.

    Returns:
        `heads`, the figures of each head by name, and `heads_not_measured`, the names of the others: those that no
        test picture has a value for, and `is_sport` where validation and test part do not both have both kinds.
    """
    measured: dict[str, Any] = {}
    for name in heads:
        if name == "is_sport":
            if all(_values(table, name, part) == {"yes", "no"} for part in ("validation", "test")):
                measured[name] = measure_is_sport(model, table)
        elif _values(table, name, "test"):
            measured[name] = measure_tag(model, table, name, harder)
    return {"heads": measured, "heads_not_measured": [name for name in heads if name not in measured]}


def _values(table: Targets, head: str, part: str) -> set[str]:
    column = table.values.get(head)
    return set() if column is None else {column[place] for place in table.places(part).tolist()} - {""}


def measure_is_sport(model: "ExportedModel", table: Targets) -> dict[str, Any]:
    """How well `is_sport` tells pictures of sport from others.

    Args:
        model: The exported model.
        table: The targets, with pictures of both kinds in both parts. The threshold is taken on the validation part,
            all else measured on the test part.

    Returns:
        `threshold`, `auroc`, `precision` and `recall` at the threshold, and for each source of pictures without sport
        how many were let through.
    """
    scores, truths, sources = {}, {}, np.array([], str)
    for part in ("validation", "test"):
        places = [place for place in table.places(part).tolist() if table.values["is_sport"][place]]
        pictures = [table.pictures[place] for place in places]
        scores[part] = model.outputs_for(pictures)["is_sport"]
        truths[part] = np.array([table.values["is_sport"][place] == "yes" for place in places])
        sources = np.array([picture.source for picture in pictures])
    threshold = best_threshold(scores["validation"], truths["validation"])
    said, truth = scores["test"] >= threshold, truths["test"]
    return {
        "threshold": round(threshold, 4),
        "auroc": round(auroc(scores["test"], truth), 4),
        "precision": share(int((said & truth).sum()), int(said.sum())),
        "recall": share(int((said & truth).sum()), int(truth.sum())),
        "let_through": {
            str(source): share(int((said & chosen).sum()), int(chosen.sum()))
            for source in np.unique(sources[~truth])
            for chosen in [~truth & (sources == source)]
        },
    }


def measure_tag(
    model: "ExportedModel", table: Targets, head: str, harder: Collection[str] = ()
) -> dict[str, Any]:
    """How often a head beside the classes is right, on the test pictures that its targets know.

    Args:
        model: The exported model.
        table: The targets, which know the head of a test picture at least.
        head: The head, with the outputs `<head>_probabilities` and `<head>_names`.
        harder: The names of pictures that were not drawn at random, but from the sports that leave the answer open.

    Returns:
        `all` but the harder ones, a share for each value `of` these, and `harder`.
    """
    places = [place for place in table.places("test").tolist() if table.values[head][place]]
    pictures = [table.pictures[place] for place in places]
    outputs = model.outputs_for(pictures)
    likeliest = outputs[f"{head}_probabilities"].argmax(axis=1)
    names = outputs[f"{head}_names"]
    answers = np.array([row[place].decode() for row, place in zip(names, likeliest, strict=True)])
    truth = np.array([table.values[head][place] for place in places])
    right = answers == truth
    drawn = np.array([picture.name not in harder for picture in pictures])
    return {
        "all": share(int(right[drawn].sum()), int(drawn.sum())),
        "of": {
            str(value): share(
                int(right[drawn & (truth == value)].sum()), int((drawn & (truth == value)).sum())
            )
            for value in np.unique(truth)
        },
        "harder": share(int(right[~drawn].sum()), int((~drawn).sum())),
    }


def measure_groups(
    outputs: Mapping[str, NDArray[Any]], types: Sequence[str], groups: Sequence[str]
) -> dict[str, Any]:
    """How often the first group under a product's type is right.

    Args:
        outputs: Those of a product model, see docs/architecture.md.
        types: The type id of each picture.
        groups: The name of the group of each; empty where unknown.

    Returns:
        Shares of the pictures with a known group: `given_type`, where the type was answered first; `end_to_end`, type
        and group both right; `under_true_type`, of the group under the true type wherever that was answered; and
        `where_there_is_a_choice`, the last for types of several groups alone.
    """
    counts = dict.fromkeys(("given_type", "end_to_end", "under_true_type", "where_there_is_a_choice"), 0)
    totals = dict(counts)
    for place, (kind, group) in enumerate(zip(types, groups, strict=True)):
        if not group:
            continue
        ids = [one.decode() for one in outputs["class_ids"][place]]
        first = ids[0] == kind
        found = ids.index(kind) if kind in ids else None
        right = found is not None and outputs["group_names"][place, found, 0].decode() == group
        choice = found is not None and int((outputs["group_names"][place, found] != b"").sum()) > 1
        for name, counted in (
            ("given_type", first),
            ("end_to_end", True),
            ("under_true_type", found is not None),
            ("where_there_is_a_choice", choice),
        ):
            totals[name] += counted
            counts[name] += counted and right and (first or name not in {"given_type", "end_to_end"})
    return {name: share(int(counts[name]), int(totals[name])) for name in counts}
