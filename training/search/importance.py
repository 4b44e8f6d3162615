"""Which parameters mattered: what sets the best trials apart from all that were tried."""

import warnings

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

#: The share of trials that counts as the best: enough of some dozens of trials to say something about.
BEST = 0.25
#: Fewer trials than this say nothing.
FEWEST = 8


def value_of(trial: FrozenTrial) -> float | None:
    """What a trial reached: its value, or where it was pruned the lowest loss up to then; None for neither."""
    if trial.value is not None:
        return trial.value
    return min(trial.intermediate_values.values(), default=None)


def importances(trials: list[FrozenTrial]) -> dict[str, float]:
    """Weigh the parameters by PED-ANOVA.

    That is the Pearson divergence of a parameter's distribution among the best trials from that among all (Watanabe,
    Bansal and Hutter 2023), with parameters that only some trials have (its conditional form of 2026, in Optuna since
    version 5). Pruned trials count by what they had reached: leaving them out would leave out most of what was bad.

    Args:
        trials: Finished trials, pruned ones included.

    Returns:
        The share of each parameter, the largest first; they add up to 1. Empty for fewer than `FEWEST` trials, or
        where nothing sets the best apart.
    """
    told = [(trial, value) for trial in trials if (value := value_of(trial)) is not None]
    if len(told) < FEWEST:
        return {}
    study = optuna.create_study(direction="minimize")
    study.add_trials(
        [
            create_trial(
                state=TrialState.COMPLETE,
                params=trial.params,
                distributions=trial.distributions,
                value=value,
            )
            for trial, value in told
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BEST)
        found = evaluator.evaluate(study)
    total = sum(found.values())
    if not total:
        return {}
    return dict(sorted(((name, one / total) for name, one in found.items()), key=lambda pair: -pair[1]))
