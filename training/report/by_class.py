"""Precision and recall of each class, the pairs most often confused, and the mistakes the model was surest of."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from catalogue import load_catalogue
from training.card import LOW_EVIDENCE
from training.report.asked import Asked
from training.report.shares import DIGITS, share_of

_PAIRS = 20
_EXAMPLES = 6
_SUREST = 24


def class_rows(asked: Asked, trained_on: Mapping[str, int] | None) -> list[dict[str, Any]]:
    """Measure each class that is the truth of a picture, or an answer.

    Args:
        asked: The pictures and answers.
        trained_on: How many pictures each class was trained on, by id; None where that is not known.

    Returns:
        A row for each class, the lowest recall first: `id`, `name`, `pictures`, `answered` (how often it is the first
        answer), `recall` and `precision` (shares with intervals), `top3` (a share), `taken_for` (the most frequent
        wrong answer and its count), `trained_on` and `low_evidence` (None where not known).
    """
    truths, first = np.array(asked.truths), np.array(asked.first)
    rows = []
    for class_id in sorted(set(asked.truths) | set(asked.first)):
        is_truth, is_answer = truths == class_id, first == class_id
        right = int((is_truth & is_answer).sum())
        wrong = Counter(first[is_truth & ~is_answer].tolist()).most_common(1)
        count = None if trained_on is None else trained_on.get(class_id, 0)
        rows.append(
            {
                "id": class_id,
                "name": asked.names[class_id],
                "trained_on": count,
                "low_evidence": None if count is None else count < LOW_EVIDENCE,
                "pictures": int(is_truth.sum()),
                "answered": int(is_answer.sum()),
                "recall": share_of(right, int(is_truth.sum())),
                "precision": share_of(right, int(is_answer.sum())),
                "top3": share_of(int((asked.ranks[is_truth] < 3).sum()), int(is_truth.sum())),
                "taken_for": {"name": asked.names[wrong[0][0]], "pictures": wrong[0][1]} if wrong else None,
            }
        )
    return sorted(rows, key=_worst_first)


def _worst_first(row: dict[str, Any]) -> tuple[bool, float, int, str]:
    share = row["recall"]["share"]
    return share is None, share or 0.0, -row["pictures"], row["name"]


def confused_pairs(asked: Asked) -> list[dict[str, Any]]:
    """Find the wrong first answers that are most frequent.

    Args:
        asked: The pictures and answers.

    Returns:
        A row for each pair, the most frequent first: `truth` and `answer` (names), `pictures`, `share` (of the
        truth's pictures), `related` (whether the catalogue has one as a part of the other, or both as parts of one
        sport), and `examples` (rows of `picture`, a position, `file`, `source` and `confidence`; the surest first).
    """
    pairs: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position in np.flatnonzero(~asked.right).tolist():
        pairs[asked.truths[position], asked.first[position]].append(position)
    totals = Counter(asked.truths)
    rows = []
    for (truth, answer), positions in sorted(pairs.items(), key=lambda item: (-len(item[1]), item[0]))[
        :_PAIRS
    ]:
        surest = sorted(positions, key=lambda one: -float(asked.confidences[one]))
        rows.append(
            {
                "truth": asked.names[truth],
                "answer": asked.names[answer],
                "pictures": len(positions),
                "share": round(len(positions) / totals[truth], DIGITS),
                "related": _related(truth, answer),
                "examples": [_example(asked, position) for position in surest[:_EXAMPLES]],
            }
        )
    return rows


def surest_mistakes(asked: Asked) -> list[dict[str, Any]]:
    """The wrong answers of the highest probability: wrong labels gather here, too.

    Args:
        asked: The pictures and answers.

    Returns:
        Rows as the examples of `confused_pairs`, with `truth` and `answer`.
    """
    wrong = np.flatnonzero(~asked.right)
    surest = wrong[np.argsort(-asked.confidences[wrong], kind="stable")][:_SUREST].tolist()
    return [
        {
            **_example(asked, position),
            "truth": asked.names[asked.truths[position]],
            "answer": asked.names[asked.first[position]],
        }
        for position in surest
    ]


def _example(asked: Asked, position: int) -> dict[str, Any]:
    picture = asked.pictures[position]
    return {
        "picture": position,
        "file": picture.name,
        "source": picture.source,
        "confidence": round(float(asked.confidences[position]), DIGITS),
    }


def _related(one: str, other: str) -> bool:
    catalogue = load_catalogue()
    families = []
    for class_id in (one, other):
        sport = catalogue.by_id(class_id)
        families.append(
            set() if sport is None else {sport.id, *(above.id for above in catalogue.ancestors(sport))}
        )
    return bool(families[0] & families[1])
