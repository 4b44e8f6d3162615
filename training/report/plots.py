"""The plots of the report."""

import math
from collections.abc import Sequence
from typing import Any

from training.card import LOW_EVIDENCE
from training.report.chart import BOTTOM, RIGHT, TOP, WIDTH, Axis, Chart, spelt, svg, ticks_below
from training.report.markup import Markup, element


def shares_axis(name: str, low: float = 0.0, high: float = 1.0) -> Axis:
    """An axis of shares in percent, with about five ticks."""
    step = next(
        step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / step <= 6 or math.isclose(step, 0.2)
    )
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    ticks = [(number * step, f"{100 * number * step:.0f}%") for number in range(first, last + 1)]
    return Axis(name, low, high, ticks)


def reliability_diagram(bins: Sequence[dict[str, Any]], title: str) -> Markup:
    """Draw the accuracy of each bin over its mean confidence, on the diagonal of perfect calibration.

    Args:
        bins: As `certainty.calibration` gives them.
        title: What a screen reader says of it.

    Returns:
        An SVG element. The area of a dot goes with its number of pictures.
    """
    chart = Chart(shares_axis("mean confidence"), shares_axis("accuracy"))
    most = max((one["pictures"] for one in bins), default=0) or 1
    marks = [chart.line([(0, 0), (1, 1)], "guide")]
    filled = [one for one in bins if one["pictures"]]
    marks.append(chart.line([(one["confidence"], one["accuracy"]) for one in filled], "curve"))
    marks += [
        chart.dot(
            (one["confidence"], one["accuracy"]),
            f"{one['pictures']} pictures: confidence {one['confidence']:.3f}, accuracy {one['accuracy']:.3f}",
            radius=2.5 + 7.5 * math.sqrt(one["pictures"] / most),
        )
        for one in filled
    ]
    return chart.drawn(marks, title)


def risk_curve(points: Sequence[dict[str, Any]], title: str) -> Markup:
    """Draw the share of wrong answers over the share of pictures that are answered.

    Args:
        points: As `certainty.abstaining` gives them.
        title: What a screen reader says of it.

    Returns:
        An SVG element.
    """
    highest = max([point["risk"] for point in points] + [0.01])
    wrong = shares_axis("wrong among them", 0.0, min(1.0, math.ceil(highest * 20) / 20))
    chart = Chart(shares_axis("pictures answered"), wrong)
    marks = [chart.line([(point["coverage"], point["risk"]) for point in points], "curve")]
    return chart.drawn(marks, title)


def recall_by_evidence(rows: Sequence[dict[str, Any]], title: str) -> Markup | None:
    """Draw the recall of each class over its training pictures.

    Args:
        rows: As `by_class.class_rows` gives them.
        title: What a screen reader says of it.

    Returns:
        An SVG element; None where it is not known how many pictures the classes were trained on.
    """
    shown = [row for row in rows if row["trained_on"] and row["recall"]["share"] is not None]
    if not shown:
        return None
    highest = max(row["trained_on"] for row in shown)
    ticks = [
        (value, str(value)) for value in (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000) if value <= highest
    ]
    x = Axis("training pictures", 1, max(10, highest), ticks, math.log10)
    chart = Chart(x, shares_axis("recall"))
    marks = [chart.line([(LOW_EVIDENCE, 0), (LOW_EVIDENCE, 1)], "guide")]
    marks += [
        chart.dot(
            (row["trained_on"], row["recall"]["share"]),
            f"{row['name']}: {row['recall']['right']} of {row['recall']['of']}, trained on {row['trained_on']}",
            class_="dot thin" if row["low_evidence"] else "dot",
        )
        for row in shown
    ]
    return chart.drawn(marks, title)


def interval_bars(rows: Sequence[tuple[str, dict[str, Any]]], title: str) -> Markup:
    """Draw shares with their Wilson intervals, one under the other.

    Args:
        rows: Names, and shares as `shares.share_of` gives them.
        title: What a screen reader says of it.

    Returns:
        An SVG element.
    """
    left, pitch = 190, 24
    height = pitch * len(rows) + BOTTOM + TOP
    lowest = min((share["wilson"][0] for _, share in rows), default=0.0)
    x = shares_axis("top-1", math.floor(lowest * 10) / 10, 1.0)
    reach = WIDTH - left - RIGHT
    marks = [
        ticks_below(x, left, reach, height - BOTTOM),
    ]
    for number, (name, share) in enumerate(rows):
        middle = TOP + pitch * (number + 0.5)
        low, high = (left + reach * x.part(end) for end in share["wilson"])
        marks.append(element("text", name, x=left - 8, y=spelt(middle + 4), class_="name"))
        marks.append(
            element("line", x1=spelt(low), x2=spelt(high), y1=spelt(middle), y2=spelt(middle), class_="span")
        )
        if share["share"] is not None:
            marks.append(
                element(
                    "circle",
                    element("title", f"{name}: {share['right']} of {share['of']}"),
                    cx=spelt(left + reach * x.part(share["share"])),
                    cy=spelt(middle),
                    r=4,
                    class_="dot",
                )
            )
    return svg(marks, title, height)
