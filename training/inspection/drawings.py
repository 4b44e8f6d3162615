"""The plots of the page, as SVG in the colours of `report/page.css`."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.card import LOW_EVIDENCE
from training.report.chart import spelt, svg
from training.report.markup import Markup, element

_WIDTH = 640
_NAMES, _COUNTS, _PITCH, _BAR = 190, 64, 15, 11


def class_bars(rows: Sequence[Mapping[str, Any]], part_names: Sequence[str], title: str) -> Markup:
    """Draw the pictures of each class as a bar, in pieces by part.

    Args:
        rows: From `balance.class_rows`.
        part_names: The parts, in the order of the pieces; empty where there is no split.
        title: What a screen reader says of it.

    Returns:
        An SVG element. A line marks the fewest pictures that count as evidence.
    """
    most = max([LOW_EVIDENCE, *(row["pictures"] for row in rows)])
    reach = _WIDTH - _NAMES - _COUNTS
    height = _PITCH * len(rows) + 4
    edge = _NAMES + reach * LOW_EVIDENCE / most
    marks = [element("line", x1=spelt(edge), x2=spelt(edge), y1=0, y2=height, class_="guide")]
    for number, row in enumerate(rows):
        top = 2 + _PITCH * number
        base = top + _BAR - 1.5
        told = ", ".join(f"{part} {row['parts'][part]}" for part in part_names)
        marks.append(element("text", row["label"], x=_NAMES - 8, y=base, class_="name"))
        left = float(_NAMES)
        for piece, (class_, count) in enumerate(_pieces(row, part_names)):
            width = reach * count / most
            marks.append(
                element(
                    "rect",
                    element("title", f"{row['label']}: {row['pictures']}" + (f" ({told})" if told else "")),
                    x=spelt(left),
                    y=top,
                    width=spelt(width),
                    height=_BAR,
                    class_=class_ + (" thin" if row["low_evidence"] and not piece else ""),
                )
            )
            left += width
        marks.append(element("text", row["pictures"], x=spelt(left + 6), y=base))
    return svg(marks, title, height, _WIDTH)


def _pieces(row: Mapping[str, Any], part_names: Sequence[str]) -> list[tuple[str, int]]:
    pieces = [(f"bar part-{min(number, 2)}", row["parts"][part]) for number, part in enumerate(part_names)]
    rest = row["pictures"] - sum(count for _, count in pieces)
    return [*pieces, ("bar" if not part_names else "bar part-none", rest)]


def histogram(bins: Sequence[Mapping[str, Any]], title: str) -> Markup:
    """Draw how many pictures are in each bin of the short side.

    Args:
        bins: From `sizes.measure_sizes`.
        title: What a screen reader says of it.

    Returns:
        An SVG element.
    """
    most = max(one["pictures"] for one in bins) or 1
    pitch, floor = _WIDTH / len(bins), 180
    marks = []
    for number, one in enumerate(bins):
        tall = 150 * one["pictures"] / most
        middle = spelt(pitch * (number + 0.5))
        span = f"{one['from']}–{one['below'] - 1}" if one["below"] else f"{one['from']} up"
        marks.append(
            element(
                "rect",
                element("title", f"{span} pixels: {one['pictures']}"),
                x=spelt(pitch * number + 3),
                y=spelt(floor - tall),
                width=spelt(pitch - 6),
                height=spelt(tall),
                class_="bar",
            )
        )
        marks.append(
            element("text", f"{one['pictures']:,}", x=middle, y=spelt(floor - tall - 5), class_="axis")
        )
        marks.append(element("text", span, x=middle, y=floor + 15, class_="axis"))
    marks.append(element("text", "pixels of the short side", x=_WIDTH / 2, y=floor + 33, class_="axis"))
    return svg(marks, title, floor + 38, _WIDTH)
