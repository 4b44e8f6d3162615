"""What a search found, as plain values, and the command line that repeats it."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from training.search.importance import importances
from training.search.space import Draw
from training.search.spread import Spread
from training.search.study import completed, finished
from training.search.tasks import Figures, S, Task

#: From a task's arguments for some settings to the whole command line that repeats them, as words.
Repeat = Callable[[Sequence[str]], Sequence[str]]
_SEEDS = "seeds"


def settings_of(task: Task[S], trial: FrozenTrial) -> S:
    """The settings that a finished trial tried."""
    return task.draw(Draw(optuna.trial.FixedTrial(trial.params), task.kept))


def remember(study: optuna.Study, trial: FrozenTrial, seed: int, found: Figures) -> None:
    """Keep what a trial's settings gave with another seed."""
    study.set_user_attr(f"{_SEEDS}/{trial.number}/{seed}", asdict(found))


def remembered(study: optuna.Study, trial: FrozenTrial) -> dict[int, Figures]:
    """What a trial's settings gave with other seeds, by seed."""
    start = f"{_SEEDS}/{trial.number}/"
    return {
        int(name.removeprefix(start)): Figures(**value)
        for name, value in study.user_attrs.items()
        if name.startswith(start)
    }


def outcome_of(study: optuna.Study, task: Task[S], repeat: Repeat) -> dict[str, Any]:
    """Sum a search up.

    Args:
        study: The study.
        task: What was searched.
        repeat: Makes the command line.

    Returns:
        `searched`, `trials`, `seconds`, `importance`, `finalists` by their mean loss over seeds, and `best`: of the
        finalists, or without any, of the trials; None before any trial has come to its end.
    """
    over = finished(study)
    ranked = completed(study)
    # Settings that ran away with one of the seeds have fewer figures than the others, and are no finalists.
    most = max((len(remembered(study, trial)) for trial in ranked), default=0)
    finalists = [_finalist(study, trial) for trial in ranked if 0 < len(remembered(study, trial)) == most]
    finalists.sort(key=lambda row: float(row["loss"]["mean"]))
    chosen = next(iter(ranked), None)
    if finalists:
        chosen = next(trial for trial in ranked if trial.number == finalists[0]["trial"])
    best = None
    if chosen is not None:
        settings = settings_of(task, chosen)
        best = {
            "trial": chosen.number,
            "settings": task.as_json(settings),
            "validation": chosen.user_attrs["figures"],
            "command": shlex.join(repeat(task.arguments(settings))),
        }
    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    return {
        "searched": task.command,
        "trials": {
            "finished": len(over),
            "pruned": len(over) - len(ranked),
            "failed": len(failed),
        },
        "seconds": sum(trial.duration.total_seconds() for trial in over if trial.duration),
        "importance": importances(over),
        "finalists": finalists,
        "best": best,
    }


def _finalist(study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
    found = remembered(study, trial)
    row: dict[str, Any] = {"trial": trial.number, "trial_loss": trial.value, "seeds": sorted(found)}
    for name in ("loss", "top1", "top3"):
        spread = Spread.of([getattr(one, name) for one in found.values()])
        row[name] = spread.as_json() | {"spelt": spread.number() if name == "loss" else spread.share()}
    return row
