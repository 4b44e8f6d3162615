"""Confident learning: which labels are likely wrong, from predictions by heads that never saw the pictures.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of
Artificial Intelligence Research 70. Written from the paper; `docs/cleaning.md` says why no library is used.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: How suspects are chosen; the names of the paper's section 4 are prune by class and prune by noise rate.
METHODS = ("both", "by-class", "by-noise-rate", "confident-joint")
#: How suspects are ordered.
RANKINGS = ("margin", "self-confidence")


@dataclass(frozen=True, slots=True)
class NoiseEstimate:
    """What is taken for what, estimated from confident predictions.

    Attributes:
        thresholds: float64 [classes]: the mean probability of a class over the pictures that have its label; a
            prediction at least so high is a confident one. Infinite where there are none.
        confident: int64 [classes, classes]: pictures by label and by confidently predicted class.
        joint: float64 [classes, classes]: the estimated number of pictures by label and true class; each row sums to
            the number of pictures with that label.
    """

    thresholds: NDArray[np.float64]
    confident: NDArray[np.int64]
    joint: NDArray[np.float64]

    @property
    def noise(self) -> float:
        """The estimated share of wrong labels."""
        return float(1 - np.trace(self.joint) / self.joint.sum())

    def expected(self, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """The joint of these labels if they are as noisy as the estimate, float64 [classes, classes]."""
        counts = np.bincount(labels, minlength=len(self.joint))
        totals = self.joint.sum(axis=1)
        scale = np.divide(counts, totals, out=np.zeros(len(totals)), where=totals > 0)
        return np.asarray(self.joint * scale[:, None])


def confident_classes(
    probabilities: NDArray[np.float32], thresholds: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The likeliest of the classes that reach their threshold.

    Args:
        probabilities: float32 [n, classes].
        thresholds: float64 [classes].

    Returns:
        int64 [n]; -1 where no class reaches its threshold.
    """
    reached = probabilities >= thresholds
    best = np.where(reached, probabilities, -1.0).argmax(axis=1)
    return np.where(reached.any(axis=1), best, -1).astype(np.int64)


def estimate_noise(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> NoiseEstimate:
    """Estimate the joint distribution of given and true labels (equations 1 to 3 of the paper).

    Args:
        labels: int64 [n]: the class of each picture, as given.
        probabilities: float32 [n, classes], by heads that never saw the picture.

    Returns:
        The estimate. A class that is never confidently predicted for its own label counts as free of noise.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    sums = np.bincount(labels, weights=own, minlength=classes)
    thresholds = np.full(classes, np.inf)
    # A hair below the mean: the mean of equal float32 numbers may come out above each of them.
    np.divide(sums * (1 - 1e-9), counts, out=thresholds, where=counts > 0)

    confident = np.zeros((classes, classes), np.int64)
    found = confident_classes(probabilities, thresholds)
    np.add.at(confident, (labels[found >= 0], found[found >= 0]), 1)
    totals = confident.sum(axis=1, keepdims=True)
    shares = np.divide(confident, totals, out=np.eye(classes), where=totals > 0)
    return NoiseEstimate(thresholds, confident, shares * counts[:, None])


def predicted_instead(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """The likeliest class beside the label, int64 [n]."""
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1.0
    return np.asarray(others.argmax(axis=1), np.int64)


def scores(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], ranking: str = "margin"
) -> NDArray[np.float64]:
    """How suspicious each label is, from 0 to 1.

    Args:
        labels: int64 [n].
        probabilities: float32 [n, classes].
        ranking: `margin`: (1 + highest other probability - the label's) / 2, the normalised margin of the paper
            turned round; `self-confidence`: 1 - the label's probability.

    Returns:
        float64 [n], higher for more suspicious.

    Raises:
        ValueError: No such ranking.
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels].astype(np.float64)
    if ranking == "margin":
        return (1 + probabilities[rows, predicted_instead(labels, probabilities)] - own) / 2
    if ranking == "self-confidence":
        return 1 - own
    raise ValueError(f"There is no ranking {ranking!r}.")


def find_suspects(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    estimate: NoiseEstimate,
    *,
    method: str = "both",
) -> NDArray[np.bool_]:
    """Find the labels that are likely wrong.

    Args:
        labels: int64 [n].
        probabilities: float32 [n, classes], by heads that never saw the picture.
        estimate: From `estimate_noise` of these labels, or of others that are as noisy.
        method: `by-class`: of each label as many pictures as the joint has beside the diagonal, the least
            self-confident ones; `by-noise-rate`: of each pair of label and other class as many as the joint has
            there, those with the widest margin; `both`: those that both choose; `confident-joint`: those that are
            confidently predicted as another class.

    Returns:
        bool [n]. A picture whose label is the likeliest class is never a suspect.

    Raises:
        ValueError: No such method.
    """
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}.")
    if method == "confident-joint":
        found = confident_classes(probabilities, estimate.thresholds)
        chosen = (found >= 0) & (found != labels)
    else:
        chosen = np.ones(len(labels), np.bool_)
        if method in {"both", "by-class"}:
            chosen &= _by_class(labels, probabilities, estimate)
        if method in {"both", "by-noise-rate"}:
            chosen &= _by_noise_rate(labels, probabilities, estimate)
    return np.asarray(chosen & (probabilities.argmax(axis=1) != labels))


def _by_class(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], estimate: NoiseEstimate
) -> NDArray[np.bool_]:
    joint = estimate.expected(labels)
    own = probabilities[np.arange(len(labels)), labels]
    chosen = np.zeros(len(labels), np.bool_)
    for one, wrong in enumerate(np.rint(joint.sum(axis=1) - np.diag(joint)).astype(int).tolist()):
        rows = np.flatnonzero(labels == one)
        chosen[rows[np.argsort(own[rows], kind="stable")[:wrong]]] = True
    return chosen


def _by_noise_rate(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], estimate: NoiseEstimate
) -> NDArray[np.bool_]:
    wrong = np.rint(estimate.expected(labels)).astype(np.int64)
    np.fill_diagonal(wrong, 0)
    chosen = np.zeros(len(labels), np.bool_)
    for one, other in np.argwhere(wrong > 0).tolist():
        rows = np.flatnonzero(labels == one)
        margins = probabilities[rows, other] - probabilities[rows, one]
        chosen[rows[np.argsort(-margins, kind="stable")[: wrong[one, other]]]] = True
    return chosen
