"""All that is told about labelled pictures, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import NO_PICTURE, Dataset, Picture
from training.hashing import hash_pictures
from training.inspection.balance import class_rows, source_rows
from training.inspection.duplicates import Copies, NearPairs, find_copies, find_near_pairs
from training.inspection.headers import Header, read_headers
from training.inspection.likeness import LIKELY
from training.inspection.parts import Parts
from training.inspection.sizes import measure_sizes

#: Groups of copies, and pairs, that are named one by one; the counts are of all.
LISTED = 5000


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found.

    Attributes:
        pictures: Those that can be decoded, in the order of their names; positions in the report are places here.
        headers: Theirs.
        report: Plain values for JSON.
    """

    pictures: tuple[Picture, ...]
    headers: Sequence[Header]
    report: dict[str, Any]


def inspect(data: Dataset, parts: Parts, cache: Path, *, distance: int) -> Inspection:
    """Look at pictures, one at a time: none is kept, only numbers about it.

    Args:
        data: The pictures.
        parts: Their parts.
        cache: The folder of all caches, for the hashes.
        distance: The most bits of 64 by which the hashes of near-duplicates differ.

    Returns:
        All that was found.
    """
    hashes, unreadable = hash_pictures(data.pictures, cache)
    good = data.without(unreadable).pictures
    headers = read_headers(good)
    lost = sorted({one.label for one in data.pictures} - {one.label for one in good})
    empty = sorted({*data.empty, *lost})
    report: dict[str, Any] = {
        "data": {
            "listed": len(data.pictures),
            "pictures": len(good),
            "classes": len({one.label for one in good}),
            "fingerprint": data.fingerprint,
        },
        "unreadable": [
            {"file": one.name, "label": one.label, "reason": unreadable[one.digest]}
            for one in data.pictures
            if one.digest in unreadable
        ],
        "left_out": [one for one in data.problems if not one.endswith(f": {NO_PICTURE}")],
        "empty_classes": empty,
        "split": {
            "parts": {part: sum(parts.of.get(one.name) == part for one in good) for part in parts.names},
            "in_no_part": sum(one.name not in parts.of for one in good),
            "not_in_data": parts.not_in_data,
        }
        if parts.names
        else None,
        "sizes": measure_sizes(good, headers) if good else None,
        "copies": _copies(good, find_copies(good, parts.of)),
        "near": _near(good, find_near_pairs(good, hashes, parts.of, distance=distance), parts, distance),
        "classes": class_rows(good, parts, empty),
        "sources": source_rows(good, headers, parts),
    }
    return Inspection(good, headers, report)


def _copies(pictures: Sequence[Picture], found: Sequence[Copies]) -> dict[str, Any]:
    return {
        "groups": len(found),
        "surplus": sum(len(one.files) - 1 for one in found),
        "conflicts": sum(one.conflict for one in found),
        "across_parts": sum(len(one.parts) > 1 for one in found),
        "listed": [
            {
                "picture": one.positions[0],
                "files": [
                    {
                        "file": file,
                        "label": ", ".join(
                            pictures[place].label for place in one.positions if pictures[place].name == file
                        ),
                    }
                    for file in one.files
                ],
                "conflict": one.conflict,
                "parts": list(one.parts),
            }
            for one in found[:LISTED]
        ],
    }


def _near(pictures: Sequence[Picture], pairs: NearPairs, parts: Parts, distance: int) -> dict[str, Any]:
    kinds: Mapping[str, NDArray[np.bool_]] = {
        "across_same": pairs.across & ~pairs.other_label,
        "across_other": pairs.across & pairs.other_label,
        "within_same": ~pairs.across & ~pairs.other_label,
        "within_other": ~pairs.across & pairs.other_label,
    }
    return {
        "distance": distance,
        "pairs": len(pairs.bits),
        "likely": int(pairs.likely.sum()),
        "likely_from": LIKELY,
        "across_parts": int((pairs.across & pairs.likely).sum()),
        "other_label": int((pairs.other_label & pairs.likely).sum()),
        "too_plain": pairs.plain,
        "kinds": {
            kind: {
                "likely": int((chosen & pairs.likely).sum()),
                "doubtful": int((chosen & ~pairs.likely).sum()),
            }
            for kind, chosen in kinds.items()
        },
        "by_bits": [
            {
                "bits": bits,
                **{kind: int((chosen & (pairs.bits == bits)).sum()) for kind, chosen in kinds.items()},
            }
            for bits in range(distance + 1)
        ],
        "listed": [
            {
                "pictures": pairs.positions[row].tolist(),
                "files": [pictures[one].name for one in pairs.positions[row].tolist()],
                "labels": [pictures[one].label for one in pairs.positions[row].tolist()],
                "parts": [parts.of.get(pictures[one].name) for one in pairs.positions[row].tolist()],
                "bits": int(pairs.bits[row]),
                "likeness": round(float(pairs.likeness[row]), 3),
                "likely": bool(pairs.likely[row]),
                "other_label": bool(pairs.other_label[row]),
                "mirrored": bool(pairs.mirrored[row]),
                "across": bool(pairs.across[row]),
            }
            for row in range(min(LISTED, len(pairs.bits)))
        ],
    }
