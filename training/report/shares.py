"""Hits among the first answers with their intervals: overall, in the main set, in the rest, and by source."""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.intervals import group_bootstrap, share
from training.metrics import TOPS
from training.report.asked import Asked

DIGITS = 4


def share_of(right: int, count: int) -> dict[str, Any]:
    """A share with Wilson's interval: `right`, `of`, `share` (None of nothing) and `wilson`."""
    row = share(right, count)
    return {"wilson": row.pop("interval"), **row}


def segments(asked: Asked, main_sources: Collection[str]) -> list[dict[str, Any]]:
    """Measure all pictures, those of the main set, the rest, and those of each source.

    Args:
        asked: The pictures and answers.
        main_sources: The sources that make up the main set; where none is named, main set and rest are left out.

    Returns:
        A row for each: `name`, `kind` (all, main, rest, source), `pictures`, `groups`, and for each of
        `metrics.TOPS` a share with its intervals.
    """
    everything = np.ones(len(asked.pictures), bool)
    parts: list[tuple[str, str, NDArray[np.bool_]]] = [("All pictures", "all", everything)]
    if main_sources:
        main = np.isin(asked.sources, sorted(main_sources))
        parts += [("Main set", "main", main), ("Rest", "rest", ~main)]
    parts += [
        (source or "No source told", "source", asked.sources == source)
        for source in sorted(set(asked.sources.tolist()), key=lambda one: -int((asked.sources == one).sum()))
    ]
    return [{"name": name, "kind": kind, **_tops(asked, here)} for name, kind, here in parts]


def mean_over_classes(asked: Asked) -> dict[str, float]:
    """The mean of the classes' own shares, by `top1` and so on: each class counts alike, however many pictures."""
    truths = np.array(asked.truths)
    shares = {k: [] for k in TOPS}  # type: dict[int, list[float]]
    for truth in sorted(set(asked.truths)):
        ranks = asked.ranks[truths == truth]
        for k in TOPS:
            shares[k].append(float((ranks < k).mean()))
    return {f"top{k}": round(float(np.mean(values)), DIGITS) for k, values in shares.items()}


def _tops(asked: Asked, here: NDArray[np.bool_]) -> dict[str, Any]:
    ranks, groups = asked.ranks[here], asked.groups[here]
    row: dict[str, Any] = {"pictures": len(ranks), "groups": len(np.unique(groups))}
    for k in TOPS:
        hits = ranks < k
        row[f"top{k}"] = {
            **share_of(int(hits.sum()), len(ranks)),
            "bootstrap": _ends(group_bootstrap(hits, groups)),
        }
    return row


def _ends(interval: tuple[float, float]) -> list[float]:
    return [round(interval[0], DIGITS), round(interval[1], DIGITS)]
