"""What in a report wants a person's attention, in sentences, the gravest first."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.card import LOW_EVIDENCE

_NAMED = 12


def findings(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say what is amiss.

    Args:
        report: From `measure.inspect`.

    Returns:
        The key of the page's section that tells more, and a sentence, for each; empty where nothing is amiss.
    """
    found = [*_broken(report), *_doubled(report), *_unbalanced(report)]
    return [(section, sentence) for section, amount, sentence in found if amount]


def _broken(report: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    unreadable, left_out, empty = (len(report[key]) for key in ("unreadable", "left_out", "empty_classes"))
    things = _count(left_out, "file or record", "files or records")
    classes = _count(empty, "class", "classes")
    return [
        ("unreadable", unreadable, f"{_count(unreadable, 'picture')} cannot be decoded."),
        ("unreadable", left_out, f"{things} could not be read at all."),
        ("classes", empty, f"{classes} without a usable picture: {_some(report['empty_classes'])}."),
    ]


def _doubled(report: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    copies, near = report["copies"], report["near"]
    conflicts, leaks, surplus = copies["conflicts"], copies["across_parts"], copies["surplus"]
    near_leaks, other = near["across_parts"], near["other_label"]
    several = _count(leaks, "picture")
    pairs = _count(near_leaks, "pair")
    return [
        ("copies", conflicts, f"{_count(conflicts, 'picture')} with the same bytes and different labels."),
        (
            "copies",
            leaks,
            f"{several} with the same bytes in different parts of the split: figures are too good.",
        ),
        (
            "near",
            near_leaks,
            f"{pairs} of likely near-duplicates in different parts of the split: figures are too good.",
        ),
        ("near", other, f"{_count(other, 'pair')} of likely near-duplicates with different labels."),
        ("copies", surplus, f"{_count(surplus, 'surplus copy', 'surplus copies')} of pictures."),
    ]


def _unbalanced(report: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    rows = report["classes"]
    filled = [row for row in rows if row["parts"] and row["pictures"]]
    untrained = [row["label"] for row in filled if not row["parts"].get("train")]
    lonely = [row["label"] for row in filled if row["only_in"] == "train"]
    low = sum(row["low_evidence"] for row in rows)
    never = _count(len(untrained), "class", "classes")
    alone = _count(len(lonely), "class", "classes")
    thin = _count(low, "class", "classes")
    return [
        ("classes", len(untrained), f"{never} not in the training part: {_some(untrained)}."),
        ("classes", len(lonely), f"{alone} in the training part only, so never measured: {_some(lonely)}."),
        ("classes", low, f"{thin} with fewer than {LOW_EVIDENCE} pictures."),
    ]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
