"""Sizes and formats over all pictures."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from training.data import Picture
from training.inspection.headers import Header

#: Pixels of the short side; the last bin has no upper end.
_EDGES = (0, 32, 64, 96, 128, 192, 224, 256, 384, 512, 1024)
_SHOWN = 8
#: The longer side over the shorter, above which stretching to a square spoils a picture.
_LONG = 3.0
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def measure_sizes(pictures: Sequence[Picture], headers: Sequence[Header]) -> dict[str, Any]:
    """Sum up headers.

    Args:
        pictures: Those that can be decoded; one at least.
        headers: Theirs.

    Returns:
        `bytes` in all; `short_side` with `bins` (`from`, `below`, `pictures`) and `quantiles`; the `smallest` by
        short side and the `largest` by area; `long`, how many are more than three times as long as wide, and the
        `longest`; `formats`, `modes`, `animated` and `turned` as counts.
    """
    sides = sorted(header.short_side for header in headers)
    bins = [
        {
            "from": low,
            "below": high,
            "pictures": sum(low <= side and (high is None or side < high) for side in sides),
        }
        for low, high in itertools.pairwise((*_EDGES, None))
        if low is not None
    ]
    order = sorted(range(len(headers)), key=lambda one: (headers[one].short_side, pictures[one].name))
    by_area = sorted(order, key=lambda one: -headers[one].width * headers[one].height)
    by_aspect = sorted(order, key=lambda one: -headers[one].aspect)

    def rows(chosen: Sequence[int]) -> list[dict[str, Any]]:
        return [
            {
                "picture": one,
                "file": pictures[one].name,
                "label": pictures[one].label,
                "width": headers[one].width,
                "height": headers[one].height,
                "bytes": headers[one].size,
            }
            for one in chosen
        ]

    return {
        "bytes": sum(header.size for header in headers),
        "short_side": {
            "bins": bins,
            "quantiles": {str(one): sides[round(one * (len(sides) - 1))] for one in _QUANTILES},
        },
        "smallest": rows(order[:_SHOWN]),
        "largest": rows(by_area[:_SHOWN]),
        "long": sum(header.aspect > _LONG for header in headers),
        "longest": rows([one for one in by_aspect[:_SHOWN] if headers[one].aspect > _LONG]),
        "formats": dict(Counter(header.format for header in headers).most_common()),
        "modes": dict(Counter(header.mode for header in headers).most_common()),
        "animated": sum(header.frames > 1 for header in headers),
        "turned": sum(header.turned for header in headers),
    }
