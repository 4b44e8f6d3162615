"""The report's plots, as SVG that takes its colours from the page, so that they follow light and dark."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from training.card import LOW_EVIDENCE
from training.report.markup import Markup, element

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 20, 12, 40


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a plot.

    Attributes:
        name: What it shows.
        low: The value at its start.
        high: The value at its end.
        ticks: Values with their labels.
        scale: From values to something linear, for instance a logarithm.
    """

    name: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    scale: Callable[[float], float] = float

    def part(self, value: float) -> float:
        """Where a value lies: 0 at the start, 1 at the end; values outside are moved to the nearer end."""
        low, high = self.scale(self.low), self.scale(self.high)
        return min(1.0, max(0.0, (self.scale(value) - low) / (high - low)))


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
    x, y = shares_axis("mean confidence"), shares_axis("accuracy")
    most = max((one["pictures"] for one in bins), default=0) or 1
    marks = [_line([(0, 0), (1, 1)], x, y, "guide")]
    filled = [one for one in bins if one["pictures"]]
    marks.append(_line([(one["confidence"], one["accuracy"]) for one in filled], x, y, "curve"))
    marks += [
        _dot(
            (one["confidence"], one["accuracy"]),
            x,
            y,
            f"{one['pictures']} pictures: confidence {one['confidence']:.3f}, accuracy {one['accuracy']:.3f}",
            radius=2.5 + 7.5 * math.sqrt(one["pictures"] / most),
        )
        for one in filled
    ]
    return _plot(x, y, marks, title)


def risk_curve(points: Sequence[dict[str, Any]], title: str) -> Markup:
    """Draw the share of wrong answers over the share of pictures that are answered.

    Args:
        points: As `certainty.abstaining` gives them.
        title: What a screen reader says of it.

    Returns:
        An SVG element.
    """
    highest = max([point["risk"] for point in points] + [0.01])
    x = shares_axis("pictures answered")
    y = shares_axis("wrong among them", 0.0, min(1.0, math.ceil(highest * 20) / 20))
    marks = [_line([(point["coverage"], point["risk"]) for point in points], x, y, "curve")]
    return _plot(x, y, marks, title)


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
    y = shares_axis("recall")
    marks = [_line([(LOW_EVIDENCE, 0), (LOW_EVIDENCE, 1)], x, y, "guide")]
    marks += [
        _dot(
            (row["trained_on"], row["recall"]["share"]),
            x,
            y,
            f"{row['name']}: {row['recall']['right']} of {row['recall']['of']}, trained on {row['trained_on']}",
            radius=4,
            class_="dot thin" if row["low_evidence"] else "dot",
        )
        for row in shown
    ]
    return _plot(x, y, marks, title)


def interval_bars(rows: Sequence[tuple[str, dict[str, Any]]], title: str) -> Markup:
    """Draw shares with their Wilson intervals, one under the other.

    Args:
        rows: Names, and shares as `shares.share_of` gives them.
        title: What a screen reader says of it.

    Returns:
        An SVG element.
    """
    left, pitch = 190, 24
    height = pitch * len(rows) + _BOTTOM + _TOP
    lowest = min((share["wilson"][0] for _, share in rows), default=0.0)
    x = shares_axis("top-1", math.floor(lowest * 10) / 10, 1.0)
    reach = _WIDTH - left - _RIGHT
    marks = [
        _ticks_below(x, left, reach, height - _BOTTOM),
    ]
    for number, (name, share) in enumerate(rows):
        middle = _TOP + pitch * (number + 0.5)
        low, high = (left + reach * x.part(end) for end in share["wilson"])
        marks.append(element("text", name, x=left - 8, y=_spelt(middle + 4), class_="name"))
        marks.append(
            element(
                "line", x1=_spelt(low), x2=_spelt(high), y1=_spelt(middle), y2=_spelt(middle), class_="span"
            )
        )
        if share["share"] is not None:
            marks.append(
                element(
                    "circle",
                    element("title", f"{name}: {share['right']} of {share['of']}"),
                    cx=_spelt(left + reach * x.part(share["share"])),
                    cy=_spelt(middle),
                    r=4,
                    class_="dot",
                )
            )
    return _svg(marks, title, _WIDTH, height)


def _plot(x: Axis, y: Axis, marks: Sequence[Markup], title: str) -> Markup:
    left, right, top, bottom = _LEFT, _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM
    frame = [_ticks_below(x, left, right - left, bottom)]
    for value, label in y.ticks:
        row = _spelt(bottom - (bottom - top) * y.part(value))
        frame.append(element("line", x1=left, x2=right, y1=row, y2=row, class_="grid"))
        frame.append(element("text", label, x=left - 6, y=_spelt(float(row) + 4), class_="name"))
    middle = (top + bottom) / 2
    frame.append(
        element("text", y.name, transform=f"rotate(-90 10 {middle})", x=10, y=_spelt(middle), class_="axis")
    )
    return _svg([*frame, *marks], title, _WIDTH, _HEIGHT)


def _ticks_below(x: Axis, left: float, reach: float, bottom: float) -> Markup:
    marks = []
    for value, label in x.ticks:
        column = _spelt(left + reach * x.part(value))
        marks.append(element("line", x1=column, x2=column, y1=_TOP, y2=bottom, class_="grid"))
        marks.append(element("text", label, x=column, y=bottom + 15, class_="axis"))
    marks.append(element("text", x.name, x=_spelt(left + reach / 2), y=bottom + 33, class_="axis"))
    return element("g", marks)


def _svg(marks: Sequence[Markup], title: str, width: float, height: float) -> Markup:
    return element("svg", list(marks), viewBox=f"0 0 {width} {height}", role="img", aria_label=title)


def _line(points: Sequence[tuple[float, float]], x: Axis, y: Axis, class_: str) -> Markup:
    places = " ".join(",".join(_spelt(one) for one in _place(point, x, y)) for point in points)
    return element("polyline", points=places, class_=class_)


def _dot(
    point: tuple[float, float], x: Axis, y: Axis, told: str, *, radius: float, class_: str = "dot"
) -> Markup:
    across, down = _place(point, x, y)
    return element(
        "circle", element("title", told), cx=_spelt(across), cy=_spelt(down), r=_spelt(radius), class_=class_
    )


def _place(point: tuple[float, float], x: Axis, y: Axis) -> tuple[float, float]:
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    return _LEFT + width * x.part(point[0]), _HEIGHT - _BOTTOM - height * y.part(point[1])


def _spelt(value: float) -> str:
    return f"{value:.1f}"
