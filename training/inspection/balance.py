"""How many pictures each class and each source has."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from training.card import LOW_EVIDENCE
from training.data import Picture
from training.inspection.headers import Header
from training.inspection.parts import Parts


def class_rows(pictures: Sequence[Picture], parts: Parts, empty: Sequence[str]) -> list[dict[str, Any]]:
    """Count the pictures of each class.

    Args:
        pictures: Those that can be decoded.
        parts: Their parts.
        empty: Labels of classes without any picture.

    Returns:
        For each class `label`, `pictures`, `parts` (pictures by part), `sources` (by source), `low_evidence` (fewer
        than 30 pictures), `only_in` (the only part that it is in; None where there are more or there is no split);
        the largest first.
    """
    counts = Counter(picture.label for picture in pictures)
    by_part = Counter((one.label, parts.of.get(one.name)) for one in pictures)
    by_source: dict[str, Counter[str]] = {}
    for one in pictures:
        by_source.setdefault(one.label, Counter())[one.source] += 1
    rows = []
    for label in sorted({*counts, *empty}, key=lambda name: (-counts[name], name)):
        inside = {part: by_part[label, part] for part in parts.names}
        filled = [part for part, count in inside.items() if count]
        rows.append(
            {
                "label": label,
                "pictures": counts[label],
                "parts": inside,
                "sources": dict(by_source.get(label, Counter()).most_common()),
                "low_evidence": counts[label] < LOW_EVIDENCE,
                "only_in": filled[0] if len(filled) == 1 and len(parts.names) > 1 else None,
            }
        )
    return rows


def source_rows(pictures: Sequence[Picture], headers: Sequence[Header], parts: Parts) -> list[dict[str, Any]]:
    """Count the pictures of each source.

    Args:
        pictures: Those that can be decoded.
        headers: Theirs.
        parts: Their parts.

    Returns:
        For each source `source`, `licences`, `pictures`, `classes`, `parts` (pictures by part), `short_side` (its
        median, in pixels); the largest first.
    """
    members: dict[str, list[int]] = {}
    for position, one in enumerate(pictures):
        members.setdefault(one.source, []).append(position)
    rows = []
    for source, positions in sorted(members.items(), key=lambda item: (-len(item[1]), item[0])):
        own = [pictures[position] for position in positions]
        sides = sorted(headers[position].short_side for position in positions)
        inside: Mapping[str | None, int] = Counter(parts.of.get(one.name) for one in own)
        rows.append(
            {
                "source": source,
                "licences": sorted({one.licence for one in own if one.licence}),
                "pictures": len(own),
                "classes": len({one.label for one in own}),
                "parts": {part: inside[part] for part in parts.names},
                "short_side": sides[len(sides) // 2],
            }
        )
    return rows
