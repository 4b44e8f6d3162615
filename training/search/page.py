"""The page of a search: the best settings, the trials, what mattered, and a table."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from training.optimizers import OPTIMIZERS
from training.report.frame import page
from training.report.markup import Markup, element, join
from training.report.pieces import figure, percent, table
from training.search import drawing
from training.search.importance import FEWEST, value_of
from training.search.space import TEXTS

_SEARCHED = {"train": "heads", "finetune": "fine-tuning"}


def write_page(outcome: Mapping[str, Any], trials: Sequence[FrozenTrial]) -> str:
    """Write the page.

    Args:
        outcome: From `outcome.outcome_of`.
        trials: The finished trials, pruned ones included, in the order of their numbers.

    Returns:
        HTML, complete, that loads nothing from elsewhere.
    """
    title = f"Search of {_SEARCHED[outcome['searched']]}"
    parts: list[tuple[str, str, Markup | None]] = [
        ("best", "The best settings", _best(outcome)),
        ("seeds", "The same with other seeds", _seeds(outcome)),
        ("mattered", "What mattered", _mattered(outcome)),
        ("history", "The trials", _history(trials)),
        ("values", "Value by value", _values(outcome, trials)),
        ("table", "All trials", _table(outcome, trials)),
    ]
    counts = outcome["trials"]
    subtitle = (
        f"{counts['finished']} trials, {counts['pruned']} of them pruned, {counts['failed']} failed; "
        f"{outcome['seconds']:.0f} s. All figures are of the validation part. The settings were chosen by it, so "
        "they will do a little worse on new pictures; the test part was not asked."
    )
    return page(
        title,
        [element("p", subtitle, class_="soft")],
        parts,
        styles=[Path(__file__).with_name("page.css")],
    )


def _best(outcome: Mapping[str, Any]) -> Markup:
    best = outcome["best"]
    if best is None:
        return element("p", "No trial has come to its end yet.")
    told = best["validation"]
    boxes = [
        (f"{told['loss']:.4f}", "loss at its temperature"),
        (percent(told["top1"]), "first answer right"),
        (percent(told["top3"]), "in the first three"),
        (str(told["epochs"]), "epochs" if outcome["searched"] == "train" else "passes"),
    ]
    return join(
        element(
            "div",
            [element("div", element("strong", value), element("span", text)) for value, text in boxes],
            class_="figures",
        ),
        element("p", f"Trial {best['trial']}. This repeats it:"),
        element("pre", best["command"]),
    )


def _seeds(outcome: Mapping[str, Any]) -> Markup | None:
    rows = outcome["finalists"]
    if not rows:
        return None
    return join(
        element(
            "p",
            f"The best trials, each trained again with {rows[0]['loss']['count']} seeds that no trial had: a trial "
            "that won by luck falls back. The lowest mean loss decides. Mean and standard deviation.",
        ),
        table(
            ["trial", "in its trial", "loss", "top-1", "top-3"],
            [
                [
                    str(row["trial"]),
                    f"{row['trial_loss']:.4f}",
                    row["loss"]["spelt"],
                    row["top1"]["spelt"],
                    row["top3"]["spelt"],
                ]
                for row in rows
            ],
        ),
    )


def _mattered(outcome: Mapping[str, Any]) -> Markup:
    shares = outcome["importance"]
    if not shares:
        return element("p", f"It takes {FEWEST} trials to say something about that.")
    if not any(shares.values()):
        return element(
            "p", "No parameter explains the order of the trials by itself better than chance would."
        )
    drawn = figure(
        drawing.bars(shares),
        "How much of the order of the trials each parameter explains by itself, beyond chance: epsilon squared of "
        "the losses' ranks. It tells of the ranges searched and of the trials made, not of what lies beyond; "
        "parameters that were tried together share what they explain. Of some dozens of trials it is a rough guide.",
    )
    return element("div", drawn, class_="plots")


def _history(trials: Sequence[FrozenTrial]) -> Markup:
    return element(
        "div",
        figure(drawing.history(trials), "Each trial, and the best so far. Pale: pruned, at its lowest loss."),
        figure(drawing.curves(trials), "How each trial went. Losses above the axis are drawn at its end."),
        class_="plots",
    )


def _values(outcome: Mapping[str, Any], trials: Sequence[FrozenTrial]) -> Markup:
    names = _names(trials)
    terms = None
    if outcome["searched"] == "train":
        scales = ", ".join(
            f"{name} {known.scale:g}"
            for name, known in OPTIMIZERS.items()
            if not math.isclose(known.scale, 1)
        )
        terms = element(
            "p",
            "Learning rates and weight decays are drawn in AdamW's terms, here and in the table: rates are then "
            f"multiplied, and decays divided, by what is usual for the optimiser ({scales}).",
        )
    drawings = [figure(drawing.slice_of(name, trials), TEXTS.get(name, name)) for name in names]
    return join(terms, element("div", drawings, class_="plots"))


def _table(outcome: Mapping[str, Any], trials: Sequence[FrozenTrial]) -> Markup:
    names = _names(trials)
    chosen = outcome["best"]["trial"] if outcome["best"] else None
    rows: list[list[Any]] = []
    for trial in sorted(trials, key=lambda one: (one.state == TrialState.PRUNED, value_of(one) or 0.0)):
        found = trial.user_attrs.get("figures", {})
        value = value_of(trial)
        seconds = trial.duration.total_seconds() if trial.duration else 0.0
        rows.append(
            [
                f"{trial.number}{' (chosen)' if trial.number == chosen else ''}",
                "–" if value is None else f"{value:.4f}",
                percent(found.get("top1")),
                percent(found.get("top3")),
                f"pruned at {trial.last_step}"
                if trial.state == TrialState.PRUNED
                else str(found.get("epochs", "–")),
                f"{seconds:.0f}",
                *(drawing.spelt_value(name, trial) for name in names),
            ]
        )
    columns = ["trial", "loss", "top-1", "top-3", "epoch", "s", *(TEXTS.get(name, name) for name in names)]
    return table(columns, rows)


def _names(trials: Sequence[FrozenTrial]) -> list[str]:
    """The parameters that any trial has, in the order in which they are drawn."""
    return list(dict.fromkeys(name for trial in trials for name in trial.params))
