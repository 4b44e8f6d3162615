"""The plots of a search, as SVG that takes its colours from the page."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from training.report.markup import Markup, element
from training.report.plots import Axis
from training.search.importance import value_of
from training.search.space import TEXTS

_WIDTH, _HEIGHT = 440, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 14, 12, 40
_BAR = 22
# The share of trials whose loss the axis shows; the worst would press all others together.
_SHOWN = 0.85


def loss_axis(trials: Sequence[FrozenTrial], name: str = "validation loss") -> Axis:
    """An axis from the lowest loss to one that most trials are below; those above are drawn at its end."""
    values = [value for trial in trials if (value := value_of(trial)) is not None and math.isfinite(value)]
    low = min(values, default=0.0)
    high = float(np.quantile(values, _SHOWN)) if values else 1.0
    room = max(high - low, 0.02 * abs(low), 1e-3)
    return _linear(name, low - 0.05 * room, low + 1.1 * room)


def history(trials: Sequence[FrozenTrial]) -> Markup:
    """Draw the loss of each trial by its number, and the best up to it."""
    y = loss_axis(trials)
    x = _linear("trial", 0, max([1, *(trial.number for trial in trials)]), whole=True)
    best: list[tuple[float, float]] = []
    lowest = math.inf
    for trial in trials:
        if trial.value is not None and trial.value < lowest:
            lowest = trial.value
        if math.isfinite(lowest):
            best.append((trial.number, lowest))
    marks = [_line(best, x, y, "curve")]
    return _plot(x, y, marks + _dots(trials, x, y, lambda trial: float(trial.number)), "Loss by trial")


def curves(trials: Sequence[FrozenTrial]) -> Markup:
    """Draw the loss of each trial by epoch or pass."""
    y = loss_axis(trials)
    last = max([2, *(step for trial in trials for step in trial.intermediate_values)])
    x = _linear("epoch", 0, last, whole=True)
    marks = [
        _line(sorted(trial.intermediate_values.items()), x, y, _class_of(trial, "line"))
        for trial in trials
        if trial.intermediate_values
    ]
    return _plot(x, y, marks, "Loss by epoch, a line for each trial")


def slice_of(name: str, trials: Sequence[FrozenTrial]) -> Markup:
    """Draw the loss over the values of one parameter, for the trials that have it."""
    having = [trial for trial in trials if name in trial.params]
    x = _axis_of(name, having[-1].distributions[name])
    places = _places(name, having)
    marks = _dots(having, x, loss_axis(trials), lambda trial: places[trial.number])
    return _plot(x, loss_axis(trials), marks, f"Loss by {TEXTS.get(name, name)}")


def bars(shares: Mapping[str, float]) -> Markup:
    """Draw the share of each parameter, one under the other."""
    left = 190
    highest = max(shares.values())
    marks = []
    for row, (name, share) in enumerate(shares.items()):
        top = _TOP + _BAR * row
        marks.append(
            element("text", TEXTS.get(name, name), x=left - 8, y=_spelt(top + 12), class_="name small")
        )
        length = (_WIDTH - left - 50) * share / highest
        marks.append(
            element("rect", x=left, y=_spelt(top), width=_spelt(length), height=_BAR - 7, class_="dot")
        )
        marks.append(
            element(
                "text", f"{100 * share:.0f}%", x=_spelt(left + length + 6), y=_spelt(top + 12), class_="value"
            )
        )
    return _svg(marks, "Importance of each parameter", 2 * _TOP + _BAR * len(shares))


def spelt_value(name: str, trial: FrozenTrial) -> str:
    """The value of a parameter in a trial, short; a dash where it has none."""
    if name not in trial.params:
        return "–"
    value = trial.params[name]
    if isinstance(value, str):
        return value or "all layers"
    return f"{value:.3g}"


def _axis_of(name: str, distribution: BaseDistribution) -> Axis:
    called = TEXTS.get(name, name)
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        ticks = [(float(n), str(choice) or "all") for n, choice in enumerate(distribution.choices)]
        return Axis(called, -0.5, count - 0.5, ticks)
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        raise TypeError(f"{name} has a distribution that no axis is known for: {distribution}.")
    if distribution.log:
        return _logarithmic(called, distribution.low, distribution.high)
    if isinstance(distribution, IntDistribution):
        ticks = [(float(n), str(n)) for n in range(distribution.low, distribution.high + 1)]
        if len(ticks) <= 10:
            return Axis(called, distribution.low - 0.5, distribution.high + 0.5, ticks)
    return _linear(called, distribution.low, distribution.high)


def _places(name: str, trials: Sequence[FrozenTrial]) -> dict[int, float]:
    """Where each trial's value lies; values that are few are spread a little, the same way in every drawing."""
    distribution = trials[-1].distributions[name]
    whole = isinstance(distribution, IntDistribution) and not distribution.log
    random = np.random.default_rng(0)
    places = {}
    for trial in trials:
        value = trial.params[name]
        if isinstance(distribution, CategoricalDistribution):
            value = distribution.choices.index(value)
        shift = random.uniform(-0.25, 0.25)
        few = isinstance(distribution, CategoricalDistribution) or whole
        places[trial.number] = float(value) + (shift if few else 0.0)
    return places


def _linear(name: str, low: float, high: float, *, whole: bool = False) -> Axis:
    rough = max((high - low) / 5, 1.0 if whole else 0.0)
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    digits = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(name, low, high, [(n * step, f"{n * step:.{digits}f}") for n in range(first, last + 1)])


def _logarithmic(name: str, low: float, high: float) -> Axis:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 3) if math.log10(high / low) > 1.3 else (1, 2, 5)
    ticks = [factor * 10.0**power for power in powers for factor in factors]
    inside = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
    return Axis(name, low, high, [(tick, f"{tick:g}") for tick in inside], math.log10)


def _dots(
    trials: Sequence[FrozenTrial], x: Axis, y: Axis, place: Callable[[FrozenTrial], float]
) -> list[Markup]:
    marks = []
    # What was not pruned lies on top.
    for trial in sorted(trials, key=lambda trial: trial.state != TrialState.PRUNED):
        value = value_of(trial)
        if value is None:
            continue
        state = "pruned" if trial.state == TrialState.PRUNED else "loss"
        told = ", ".join(f"{TEXTS.get(name, name)} {spelt_value(name, trial)}" for name in trial.params)
        across, down = _place(place(trial), value, x, y)
        marks.append(
            element(
                "circle",
                element("title", f"trial {trial.number}, {state} {value:.4f}: {told}"),
                cx=_spelt(across),
                cy=_spelt(down),
                r=4,
                class_=_class_of(trial, "dot"),
            )
        )
    return marks


def _class_of(trial: FrozenTrial, kind: str) -> str:
    return f"{kind} pruned" if trial.state == TrialState.PRUNED else kind


def _plot(x: Axis, y: Axis, marks: Sequence[Markup], title: str) -> Markup:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    frame = []
    for value, label in x.ticks:
        column = _spelt(_place(value, y.low, x, y)[0])
        frame.append(element("line", x1=column, x2=column, y1=_TOP, y2=bottom, class_="grid"))
        frame.append(element("text", label, x=column, y=bottom + 15, class_="axis"))
    for value, label in y.ticks:
        row = _place(x.low, value, x, y)[1]
        frame.append(element("line", x1=_LEFT, x2=right, y1=_spelt(row), y2=_spelt(row), class_="grid"))
        frame.append(element("text", label, x=_LEFT - 6, y=_spelt(row + 4), class_="name"))
    frame.append(element("text", x.name, x=_spelt((_LEFT + right) / 2), y=bottom + 33, class_="axis"))
    middle = (_TOP + bottom) / 2
    frame.append(
        element("text", y.name, transform=f"rotate(-90 10 {middle})", x=10, y=_spelt(middle), class_="axis")
    )
    return _svg([*frame, *marks], title, _HEIGHT)


def _svg(marks: Sequence[Markup], title: str, height: float) -> Markup:
    return element("svg", list(marks), viewBox=f"0 0 {_WIDTH} {height}", role="img", aria_label=title)


def _line(points: Sequence[tuple[float, float]], x: Axis, y: Axis, class_: str) -> Markup:
    spelt = " ".join(",".join(_spelt(one) for one in _place(*point, x, y)) for point in points)
    return element("polyline", points=spelt, class_=class_)


def _place(across: float, down: float, x: Axis, y: Axis) -> tuple[float, float]:
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    return _LEFT + width * x.part(across), _HEIGHT - _BOTTOM - height * y.part(down)


def _spelt(value: float) -> str:
    return f"{value:.1f}"
