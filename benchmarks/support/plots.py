"""Plots as SVG in plain HTML, with no library: lines over an axis, linear or logarithmic."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.report.markup import Markup, element

_WIDTH, _HEIGHT = 620, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 150, 16, 46
_COLOURS = ("#2266bb", "#cc5522", "#228855", "#884499", "#777777", "#aa8800")


@dataclass(frozen=True, slots=True)
class Scale:
    """One axis: its name, and whether it is logarithmic."""

    name: str
    logarithmic: bool = False

    def ticks(self, low: float, high: float) -> list[float]:
        """Round values between both, about five of them."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            return [
                part * 10.0**power
                for power in powers
                for part in (1, 2, 5)
                if low <= part * 10.0**power <= high
            ]
        step = 10.0 ** math.floor(math.log10(max(high - low, 1e-9)))
        step = next(step * part for part in (0.1, 0.2, 0.5, 1, 2) if (high - low) / (step * part) <= 6)
        return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]

    def part(self, value: float, low: float, high: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high one."""
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return (value - low) / ((high - low) or 1.0)


def line_plot(
    series: Mapping[str, Sequence[tuple[float, float]]], *, x: Scale, y: Scale, title: str
) -> Markup:
    """Draw lines with their points.

    Args:
        series: Points (x, y) by the line's name.
        x: The axis below.
        y: The axis at the left; a linear one begins at 0.
        title: What a screen reader says of it.

    Returns:
        An SVG element.
    """
    points = [point for line in series.values() for point in line]
    x_low, x_high = min(point[0] for point in points), max(point[0] for point in points)
    y_low = min(point[1] for point in points) if y.logarithmic else 0.0
    y_high = max(point[1] for point in points) * 1.05
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = _LEFT + (right - _LEFT) * x.part(point[0], x_low, x_high)
        return across, bottom - (bottom - _TOP) * y.part(point[1], y_low, y_high)

    marks: list[Markup] = []
    for value in x.ticks(x_low, x_high):
        column = f"{place((value, y_high))[0]:.1f}"
        marks.append(element("line", x1=column, x2=column, y1=_TOP, y2=bottom, stroke="#ddd"))
        marks.append(_text(f"{value:g}", float(column), bottom + 16, "middle"))
    for value in y.ticks(y_low, y_high):
        row = f"{place((x_low, value))[1]:.1f}"
        marks.append(element("line", x1=_LEFT, x2=right, y1=row, y2=row, stroke="#ddd"))
        marks.append(_text(f"{value:g}", _LEFT - 6, float(row) + 4, "end"))
    marks.append(_text(x.name, (_LEFT + right) / 2, _HEIGHT - 8, "middle"))
    marks.append(_text(y.name, 4, _TOP - 4, "start"))
    for number, (name, line) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [place(point) for point in line]
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        marks.append(element("polyline", points=path, fill="none", stroke=colour, stroke_width=2))
        for (across, down), point in zip(places, line, strict=True):
            told = element("title", f"{name}: {point[0]:g}, {point[1]:.4g}")
            marks.append(element("circle", told, cx=f"{across:.1f}", cy=f"{down:.1f}", r=3, fill=colour))
        marks.append(_text(name, right + 10, _TOP + 14 + 18 * number, "start", fill=colour))
    return element("svg", marks, viewBox=f"0 -8 {_WIDTH} {_HEIGHT + 8}", role="img", aria_label=title)


def _text(content: str, across: float, down: float, anchor: str, fill: str = "#444") -> Markup:
    return element(
        "text", content, x=f"{across:.1f}", y=f"{down:.1f}", text_anchor=anchor, font_size=12, fill=fill
    )
