"""What each step of a model's making gave: its stages, and the versions before it, in one table."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from training.data import Picture


def digest_of(pictures: Iterable[Picture]) -> str:
    """SHA-256 of what a test part asks: the names and labels of its pictures, in whatever order."""
    asked = sorted([picture.name, picture.label] for picture in pictures)
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def earlier_versions(directory: Path, card: dict[str, Any]) -> list[dict[str, Any]]:
    """Figures of the versions that lie in a model's folder, as far as their cards tell them.

    Args:
        directory: The model's folder, `models/<name>`.
        card: What the new version's card holds: the content of `run.json`, and `test_part`, from `digest_of`.

    Returns:
        For each version its number, what it is (`kind`), the pictures it was trained on, its top-1 and top-3 share on
        its test part, and whether that part is the new version's too, the oldest first.
    """
    rows = []
    for path in sorted(directory.glob("*/card.json"), key=lambda one: one.parent.name.zfill(9)):
        if not path.parent.name.isdecimal():
            continue
        other = json.loads(path.read_text(encoding="utf-8"))
        rows.append(
            {
                "version": int(path.parent.name),
                "kind": kind_of(other),
                "trained_on": other["trained_on"],
                "top1": other["metrics"]["all"]["top1"]["share"],
                "top3": other["metrics"]["all"]["top3"]["share"],
                "same_test_part": _same_test_part(other, card),
            }
        )
    return rows


def _same_test_part(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if "test_part" in one and "test_part" in other:
        return bool(one["test_part"] == other["test_part"])
    # Cards used to say no more than how the part was drawn.
    return _drawn(one) == _drawn(other)


def _drawn(card: dict[str, Any]) -> list[Any]:
    settings = card["settings"]
    deciding = ("seed", "validation", "test", "hash_distance", "cosine")
    return [card["data"]["fingerprint"], card["data"]["parts"], *(settings[name] for name in deciding)]


def kind_of(card: dict[str, Any]) -> str:
    """In words, how a version was trained."""
    backbone = card["settings"]["backbone"]["name"]
    stages = card.get("finetuning")
    if not stages:
        return f"{backbone}, frozen, with a trained head"
    return f"{backbone} with a trained head, then fine-tuned ({len(stages)} stage{'s' if len(stages) > 1 else ''})"


def ablation_table(card: dict[str, Any]) -> list[str]:
    """Lines of Markdown for a card: what each step gave.

    Args:
        card: The content of `card.json`; its `earlier_versions` may be missing.

    Returns:
        The table, with its head and what must be known to read it; nothing where there was one step only.
    """
    stages = card.get("finetuning") or []
    before = card.get("earlier_versions") or []
    if not stages and not before:
        return []
    chosen = card["chosen"]
    lines = [
        "## What each step gave",
        "",
        "| step | validation top-1 | top-3 | test top-1 | top-3 |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| version {row['version']}: {row['kind']}, {row['trained_on']['pictures']} pictures"
        f"{'' if row['same_test_part'] else ' (another test part)'} | – | – "
        f"| {percent(row['top1'])} | {percent(row['top3'])} |"
        for row in before
    ]
    lines.append(
        f"| the head this started from | {percent(chosen['top1'])} | {percent(chosen['top3'])} | – | – |"
    )
    for stage in stages:
        settings, after = stage["settings"], stage["after"]
        first = f"`{settings['unfreeze']}`" if settings["unfreeze"] else "the first layer"
        lines.append(
            f"| fine-tuned from {first} on at "
            f"{settings['height']} x {settings['width']}, {stage['best_epoch']} epochs"
            f"{', validation part included' if stage['validation_included'] else ''} "
            f"| {percent(after.get('validation_top1'))} | {percent(after.get('validation_top3'))} | – | – |"
        )
    if card.get("blended"):
        lines.append(
            f"| weights between the head's run and the last, {percent(card['blended']['share'])} of the last; "
            f"validation figures with the last stage that left validation out "
            f"| {percent(card['blended']['validation_top1'])} | – | – | – |"
        )
    test = card["metrics"]["all"]
    lines.append(
        f"| this version | – | – | {percent(test['top1']['share'])} | {percent(test['top3']['share'])} |"
    )
    lines += [
        "",
        "Validation figures are at the size of their stage; – was not measured, or could not be.",
        "",
    ]
    return lines


def percent(share: float | None) -> str:
    """A share as a percentage with one digit, or a dash."""
    return "–" if share is None else f"{100 * share:.1f}%"
