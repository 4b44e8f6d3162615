"""Plots of two axes as SVG that takes its colours from the page, so that they follow light and dark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.report.markup import Markup, element

WIDTH = 440
RIGHT, TOP, BOTTOM = 20, 12, 40
_LEFT = 50


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


@dataclass(frozen=True, slots=True)
class Chart:
    """A plot over two axes.

    Attributes:
        x: The axis below.
        y: The axis at the left.
        height: Of the whole, `WIDTH` wide.
    """

    x: Axis
    y: Axis
    height: float = 300

    def place(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where a point of two values lies, from the left and from the top."""
        across, down = WIDTH - _LEFT - RIGHT, self.height - TOP - BOTTOM
        return _LEFT + across * self.x.part(point[0]), self.height - BOTTOM - down * self.y.part(point[1])

    def line(self, points: Sequence[tuple[float, float]], class_: str) -> Markup:
        """Draw a line through points."""
        places = " ".join(",".join(spelt(one) for one in self.place(point)) for point in points)
        return element("polyline", points=places, class_=class_)

    def dot(self, point: tuple[float, float], told: str, *, radius: float = 4, class_: str = "dot") -> Markup:
        """Draw a dot that tells of itself when it is pointed at."""
        across, down = self.place(point)
        return element(
            "circle",
            element("title", told),
            cx=spelt(across),
            cy=spelt(down),
            r=spelt(radius),
            class_=class_,
        )

    def drawn(self, marks: Sequence[Markup], title: str) -> Markup:
        """Draw marks within the axes.

        Args:
            marks: From `line` and `dot`.
            title: What a screen reader says of it.

        Returns:
            An SVG element.
        """
        bottom, right = self.height - BOTTOM, WIDTH - RIGHT
        frame = [ticks_below(self.x, _LEFT, right - _LEFT, bottom)]
        for value, label in self.y.ticks:
            row = self.place((self.x.low, value))[1]
            frame.append(element("line", x1=_LEFT, x2=right, y1=spelt(row), y2=spelt(row), class_="grid"))
            frame.append(element("text", label, x=_LEFT - 6, y=spelt(row + 4), class_="name"))
        middle = (TOP + bottom) / 2
        turned = f"rotate(-90 10 {middle})"
        frame.append(element("text", self.y.name, transform=turned, x=10, y=spelt(middle), class_="axis"))
        return svg([*frame, *marks], title, self.height)


def ticks_below(x: Axis, left: float, reach: float, bottom: float) -> Markup:
    """Draw an axis: its ticks with lines up to the top, and its name."""
    marks = []
    for value, label in x.ticks:
        column = spelt(left + reach * x.part(value))
        marks.append(element("line", x1=column, x2=column, y1=TOP, y2=bottom, class_="grid"))
        marks.append(element("text", label, x=column, y=bottom + 15, class_="axis"))
    marks.append(element("text", x.name, x=spelt(left + reach / 2), y=bottom + 33, class_="axis"))
    return element("g", marks)


def svg(marks: Sequence[Markup], title: str, height: float, width: float = WIDTH) -> Markup:
    """Write the element that holds a drawing, with what a screen reader says of it."""
    return element("svg", list(marks), viewBox=f"0 0 {width} {height}", role="img", aria_label=title)


def spelt(value: float) -> str:
    """A place on a drawing, short."""
    return f"{value:.1f}"
