"""Trials of a search: asked for, pruned, kept in a SQLite file, and gone on with after a kill."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, Trial, TrialState

from training.errors import TrainingError

#: The file of a search's trials, in its run folder.
STORAGE = "search.db"
_LOCK = "search.lock"
_NAME = "search"
#: The attribute that counts how often a trial that was killed has been tried again.
_AGAIN = "again"
# Settings that kill the process, by want of memory for instance, must not do so for ever.
_MOST_AGAIN = 2
PRUNERS = ("median", "hyperband", "none")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to search, and how.

    Attributes:
        trials: How many trials there are to be in the end, pruned ones included, failed ones not.
        timeout: Start no further trial after so many seconds; None for no limit.
        seed: Seed of all draws.
        pruner: One of `PRUNERS`.
        steps: The most epochs or passes that a trial has.
    """

    trials: int
    timeout: float | None
    seed: int
    pruner: str
    steps: int


@contextlib.contextmanager
def open_study(run: Path, identity: Mapping[str, Any], plan: Plan) -> Iterator[optuna.Study]:
    """Open the study of a run folder, or begin it.

    Trials that a kill left unfinished are counted as failed, and their settings are put in line again, at most
    twice.

    Args:
        run: The folder; made where missing.
        identity: What is searched, as plain values: a study of anything else is refused.
        plan: How to search.

    Yields:
        The study, minimising.

    Raises:
        TrainingError: Another process is at it, or the folder's study is of something else, or damaged.
    """
    run.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _alone(run):
        address = sqlalchemy.URL.create("sqlite", database=str(run / STORAGE))
        try:
            storage = optuna.storages.RDBStorage(address.render_as_string())
            study = optuna.create_study(
                study_name=_NAME,
                storage=storage,
                direction="minimize",
                pruner=_pruner(plan),
                load_if_exists=True,
            )
        except sqlalchemy.exc.DatabaseError as error:
            raise TrainingError(
                f"{run / STORAGE} is no storage of a search: {error.orig}. Remove it to search anew."
            ) from error
        try:
            _identify(study, identity, run)
            _recover(study)
            yield study
        finally:
            storage.remove_session()
            storage.engine.dispose()


def run_trials(
    study: optuna.Study,
    plan: Plan,
    attempt: Callable[[Trial], float],
    first: Mapping[str, Any],
    told: Callable[[optuna.Study], Any],
) -> None:
    """Make the trials that are still to be made.

    What a trial is asked to try depends on the seed and on the trials before it alone, so a search that was killed
    tries the same as one that was not.

    Args:
        study: From `open_study`.
        plan: How to search.
        attempt: Makes a trial and gives its value, the lower the better; may raise `optuna.TrialPruned`.
        first: The parameters of the very first trial.
        told: Called after each trial.
    """
    begun = time.monotonic()
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(dict(first))
    while len(finished(study)) < plan.trials:
        if plan.timeout is not None and time.monotonic() - begun > plan.timeout:
            return
        study.sampler = _sampler(study, plan)
        trial = study.ask()
        try:
            value = attempt(trial)
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, value)
        told(study)


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that are over, pruned or not, in the order of their numbers."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def completed(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that were not pruned, the best first."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(trials, key=lambda trial: (trial.value, trial.number))


def _sampler(study: optuna.Study, plan: Plan) -> optuna.samplers.BaseSampler:
    """The tree-structured Parzen estimator (Bergstra, Bardenet, Bengio and Kégl 2011), seeded for the next draw.

    A sampler seeded once would begin its chance anew in each process, and draw again what was drawn before a kill.
    """
    drawn = sum(_AGAIN not in trial.user_attrs for trial in study.get_trials(deepcopy=False))
    return optuna.samplers.TPESampler(seed=1_000_003 * plan.seed + drawn)


def _pruner(plan: Plan) -> optuna.pruners.BasePruner:
    if plan.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=max(1, plan.steps // 4))
    if plan.pruner == "hyperband":
        # Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar 2018.
        return optuna.pruners.HyperbandPruner(
            min_resource=max(1, plan.steps // 9), max_resource=max(2, plan.steps), reduction_factor=3
        )
    return optuna.pruners.NopPruner()


def _identify(study: optuna.Study, identity: Mapping[str, Any], run: Path) -> None:
    plain = json.loads(json.dumps(identity))
    known = study.user_attrs.get("identity")
    if known is None:
        study.set_user_attr("identity", plain)
    elif known != plain:
        changed = sorted(key for key in known.keys() | plain.keys() if known.get(key) != plain.get(key))
        raise TrainingError(
            f"{run / STORAGE} is of another search (different: {', '.join(changed)}). "
            "Give another run folder, or remove the file to search anew."
        )


def _recover(study: optuna.Study) -> None:
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        again = trial.user_attrs.get(_AGAIN, 0) + 1
        if trial.params and again <= _MOST_AGAIN:
            study.enqueue_trial(trial.params, user_attrs={_AGAIN: again})


@contextlib.contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Keep other processes off: what looks unfinished is then certain to be of one that is no more.

    SQLite's own lock on a file beside is let go by the system when the process ends, however it ends.
    """
    lock = sqlite3.connect(run / _LOCK, timeout=0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        raise TrainingError(f"Another search is at work in {run}: {error}.") from error
    try:
        yield
    finally:
        lock.close()
