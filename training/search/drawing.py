"""The plots of a search, as SVG that takes its colours from the page."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from training.report.chart import TOP, WIDTH, Axis, Chart, spelt, svg
from training.report.markup import Markup, element
from training.search.importance import value_of
from training.search.space import TEXTS

_HEIGHT = 260
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
    chart = Chart(x, y, _HEIGHT)
    dots = _dots(trials, chart, lambda trial: float(trial.number))
    return chart.drawn([chart.line(best, "curve"), *dots], "Loss by trial")


def curves(trials: Sequence[FrozenTrial]) -> Markup:
    """Draw the loss of each trial by epoch or pass."""
    y = loss_axis(trials)
    last = max([2, *(step for trial in trials for step in trial.intermediate_values)])
    chart = Chart(_linear("epoch", 0, last, whole=True), y, _HEIGHT)
    marks = [
        chart.line(sorted(trial.intermediate_values.items()), _class_of(trial, "line"))
        for trial in trials
        if trial.intermediate_values
    ]
    return chart.drawn(marks, "Loss by epoch, a line for each trial")


def slice_of(name: str, trials: Sequence[FrozenTrial]) -> Markup:
    """Draw the loss over the values of one parameter, for the trials that have it."""
    having = [trial for trial in trials if name in trial.params]
    chart = Chart(_axis_of(name, having[-1].distributions[name]), loss_axis(trials), _HEIGHT)
    places = _places(name, having)
    marks = _dots(having, chart, lambda trial: places[trial.number])
    return chart.drawn(marks, f"Loss by {TEXTS.get(name, name)}")


def bars(shares: Mapping[str, float]) -> Markup:
    """Draw the share of each parameter, one under the other."""
    left = 190
    highest = max(shares.values())
    marks = []
    for row, (name, share) in enumerate(shares.items()):
        top = TOP + _BAR * row
        marks.append(
            element("text", TEXTS.get(name, name), x=left - 8, y=spelt(top + 12), class_="name small")
        )
        length = (WIDTH - left - 50) * share / highest
        marks.append(
            element("rect", x=left, y=spelt(top), width=spelt(length), height=_BAR - 7, class_="dot")
        )
        marks.append(
            element(
                "text", f"{100 * share:.0f}%", x=spelt(left + length + 6), y=spelt(top + 12), class_="value"
            )
        )
    return svg(marks, "Importance of each parameter", 2 * TOP + _BAR * len(shares))


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


def _dots(trials: Sequence[FrozenTrial], chart: Chart, place: Callable[[FrozenTrial], float]) -> list[Markup]:
    marks = []
    # What was not pruned lies on top.
    for trial in sorted(trials, key=lambda trial: trial.state != TrialState.PRUNED):
        value = value_of(trial)
        if value is None:
            continue
        state = "pruned" if trial.state == TrialState.PRUNED else "loss"
        settings = ", ".join(f"{TEXTS.get(name, name)} {spelt_value(name, trial)}" for name in trial.params)
        told = f"trial {trial.number}, {state} {value:.4f}: {settings}"
        marks.append(chart.dot((place(trial), value), told, class_=_class_of(trial, "dot")))
    return marks


def _class_of(trial: FrozenTrial, kind: str) -> str:
    return f"{kind} pruned" if trial.state == TrialState.PRUNED else kind
