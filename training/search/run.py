"""A search from its first trial to its page."""

import logging
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import Trial
from tqdm import tqdm

from training.search.outcome import Repeat, outcome_of, remember, remembered, settings_of
from training.search.page import write_page
from training.search.space import Draw, Recall
from training.search.study import Plan, completed, finished, open_study, run_trials
from training.search.tasks import S, Task
from training.settings import code_version, write_json

#: What a search writes beside its storage.
BEST, PAGE = "best.json", "search.html"


def search(
    task: Task[S],
    run: Path,
    plan: Plan,
    repeat: Repeat,
    *,
    finalists: int = 3,
    seeds: int = 3,
    progress: bool = True,
) -> dict[str, Any]:
    """Search, or go on with a search that was stopped.

    The first trial is what the settings are already, so the best is never worse than that. At the end the best trials
    are trained again with seeds that no trial had. After each trial `best.json` and `search.html` are written anew.

    Args:
        task: What to search.
        run: The folder of the search.
        plan: How long, and how.
        repeat: Makes the command line that repeats settings.
        finalists: How many of the best trials are trained again.
        seeds: With how many seeds each.
        progress: Whether to show a progress bar.

    Returns:
        What `best.json` says, see `outcome.outcome_of`, and `code`.

    Raises:
        TrainingError: Another process is at it, or the folder holds another search.
    """
    code = code_version()
    # Each trial is a network of its own, which TensorFlow takes for one that is traced again and again by mistake.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with (
        open_study(run, {**task.identity(), "seed": plan.seed}, plan) as study,
        tqdm(total=plan.trials, desc="search", unit="trial", disable=not progress) as bar,
    ):

        def told(study: optuna.Study) -> dict[str, Any]:
            found = outcome_of(study, task, repeat) | {"code": code}
            write_json(run / BEST, found)
            draft = run / f".{PAGE}.draft"
            draft.write_text(write_page(found, finished(study)), encoding="utf-8")
            draft.replace(run / PAGE)
            best = found["best"]
            bar.set_postfix(
                best="–" if best is None else f"{best['validation']['loss']:.4f}",
                pruned=found["trials"]["pruned"],
            )
            bar.update(found["trials"]["finished"] - bar.n)
            return found

        def attempt(trial: Trial) -> float:
            def after(row: dict[str, Any]) -> None:
                loss = float(row.get("validation_loss", math.inf))  # a pass that ran away has none
                if not math.isfinite(loss):
                    raise optuna.TrialPruned
                trial.report(loss, int(row["epoch"]))
                if trial.should_prune():
                    raise optuna.TrialPruned

            figures = task.attempt(task.draw(Draw(trial, task.kept)), task.seed, after)
            trial.set_user_attr("figures", asdict(figures))
            return figures.loss

        recall = Recall(task.kept)
        task.draw(recall)
        bar.update(len(finished(study)))
        run_trials(study, plan, attempt, recall.drawn, told)
        bar.set_description("finalists")
        # One that runs away with any seed is left behind, see `outcome_of`.
        for trial in completed(study)[:finalists]:
            known = remembered(study, trial)
            for seed in range(plan.seed + 1, plan.seed + 1 + seeds):
                if seed in known:
                    continue
                try:
                    found = task.attempt(settings_of(task, trial), seed, lambda _row: None)
                except optuna.TrialPruned:
                    break
                remember(study, trial, seed, found)
        return told(study)
