"""Figures of a classifier: hits among the first answers, by class, by source, and what is taken for what."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: "Top k": the right class is among the first k answers.
TOPS = (1, 3, 5)
#: The rank of a right class that is not among the answers.
NOT_ANSWERED = int(np.iinfo(np.int64).max)
_MOST_CONFUSED = 30


def measure(
    answers: Sequence[Sequence[str]],
    truths: Sequence[str],
    sources: Sequence[str],
    names: Mapping[str, str],
    training_counts: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Measure answers against the truth.

    Args:
        answers: The class ids of each answer, the likeliest first.
        truths: The right class id of each picture.
        sources: The source of each picture.
        names: The name of each class, by id.
        training_counts: How many pictures each class was trained on, by id; for the rows of the classes.

    Returns:
        Plain values for JSON. `all` and each of `by_source` count `pictures` and, for each of `TOPS`, `right` and
        `share`; `mean_over_classes` is the mean of the classes' own shares; `by_class` has a row for each class of
        the truths; `confused` counts wrong first answers by truth and answer, the most frequent first.
    """
    ranks = ranks_of(answers, truths)
    by_class = []
    for class_id in sorted(set(truths), key=lambda one: names[one]):
        here = np.array([truth == class_id for truth in truths])
        row: dict[str, Any] = {"id": class_id, "name": names[class_id], **_tops(ranks[here])}
        if training_counts is not None:
            row["trained_on"] = training_counts.get(class_id, 0)
        by_class.append(row)
    confused = Counter(
        (truth, row[0]) for truth, row in zip(truths, answers, strict=True) if row and row[0] != truth
    )
    source_array = np.array(sources)
    return {
        "all": _tops(ranks),
        "by_source": {source: _tops(ranks[source_array == source]) for source in sorted(set(sources))},
        "mean_over_classes": {
            f"top{k}": round(
                float(np.mean([row[f"top{k}"]["right"] / row["pictures"] for row in by_class])), 4
            )
            if by_class
            else None
            for k in TOPS
        },
        "by_class": by_class,
        "confused": [
            {"truth": names[truth], "answer": names[answer], "pictures": count}
            for (truth, answer), count in sorted(confused.items(), key=lambda item: (-item[1], item[0]))[
                :_MOST_CONFUSED
            ]
        ],
    }


def ranks_of(answers: Sequence[Sequence[str]], truths: Sequence[str]) -> NDArray[np.int64]:
    """The place of the right class in each answer, from 0, int64 [pictures]; `NOT_ANSWERED` where it is missing."""
    ranks = [
        next((rank for rank, answer in enumerate(row) if answer == truth), NOT_ANSWERED)
        for row, truth in zip(answers, truths, strict=True)
    ]
    return np.array(ranks, np.int64)


def _tops(ranks: NDArray[np.int64]) -> dict[str, Any]:
    count = len(ranks)
    figures: dict[str, Any] = {"pictures": count}
    for k in TOPS:
        right = int((ranks < k).sum())
        figures[f"top{k}"] = {"right": right, "share": round(right / count, 4) if count else None}
    return figures
