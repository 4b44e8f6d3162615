"""Which parameters mattered: how much of the order of the trials each explains by itself.

Optuna's own measures were tried first. Its functional ANOVA needs another library. Its PED-ANOVA, which asks what
sets the best trials apart, was misled by few trials: of a search of 23 in which the best six all had one optimiser,
it gave the optimiser 1%, and half to the dropout of hidden layers, which one of the six had at all.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

#: Fewer trials than this say nothing.
FEWEST = 8
# Numbers are put into so many groups of like size, enough to see a best value in the middle.
_GROUPS = 3


def value_of(trial: FrozenTrial) -> float | None:
    """What a trial reached: its value, or where it was pruned the lowest loss up to then; None for neither."""
    # Optuna gives a pruned trial a value too: the last loss that it reported.
    if trial.state != TrialState.PRUNED:
        return trial.value
    return min(trial.intermediate_values.values(), default=None)


def importances(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Weigh the parameters by how much of the trials' order they explain, each by itself.

    The measure is epsilon squared of a Kruskal-Wallis test (Kruskal and Wallis 1952; Kelley 1935): the share of the
    variance of the losses' ranks that lies between groups of trials with like values, less what as many groups would
    take by chance. Ranks, as a loss that ran away would else decide all. Pruned trials count by what they had
    reached, as leaving them out would leave out most of what was bad. A parameter that only some trials have is
    weighed among those, and counts for their share of all.

    Args:
        trials: Finished trials, pruned ones included.

    Returns:
        The share of each parameter, 0 to 1, the largest first. They need not add up to 1: parameters can act
        together, and a search does not try them independently. Empty for fewer than `FEWEST` trials.
    """
    told = [(trial, value) for trial in trials if (value := value_of(trial)) is not None]
    if len(told) < FEWEST:
        return {}
    names = dict.fromkeys(name for trial, _ in told for name in trial.params)
    shares = {}
    for name in names:
        having = [(trial, value) for trial, value in told if name in trial.params]
        groups = _groups(name, [trial for trial, _ in having])
        shares[name] = _explained(groups, [value for _, value in having]) * len(having) / len(told)
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def _groups(name: str, trials: Sequence[FrozenTrial]) -> NDArray[np.int64]:
    """The group of each trial: choices and few numbers by themselves, many numbers by their order."""
    values: list[Any] = [trial.params[name] for trial in trials]
    distribution = trials[-1].distributions[name]
    if isinstance(distribution, CategoricalDistribution):
        return np.array([distribution.choices.index(value) for value in values], np.int64)
    if len(set(values)) <= _GROUPS:
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    return (_ranks(values) * _GROUPS / len(values)).astype(np.int64)


def _explained(groups: NDArray[np.int64], losses: Sequence[float]) -> float:
    kinds = np.unique(groups)
    count = len(groups)
    if len(kinds) < 2 or count <= len(kinds):
        return 0.0
    ranks = _ranks(losses)
    total = float(((ranks - ranks.mean()) ** 2).sum())
    within = sum(float(((ranks[groups == kind] - ranks[groups == kind].mean()) ** 2).sum()) for kind in kinds)
    if not total:
        return 0.0
    return max(0.0, 1 - within / total * (count - 1) / (count - len(kinds)))


def _ranks(values: Sequence[Any]) -> NDArray[np.float64]:
    """Ranks from 0 on; equal values share the mean of theirs."""
    _, places, counts = np.unique(np.asarray(values, np.float64), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((ends - counts) + (ends - 1))[places] / 2, np.float64)
