"""Calibration: how far a classifier's probabilities are from its accuracy, and the temperature that mends it.

Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks" (ICML): the expected calibration
error is section 2 (after Naeini, Cooper and Hauskrecht 2015), temperature scaling section 4.2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
#: The temperatures that a fit can give; a set without one wrong answer would otherwise ask for 0.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose confidence lies above `low` and up to `high`.

    Attributes:
        low: Lower edge; a confidence of 0 counts in the first bin.
        high: Upper edge.
        pictures: How many answers.
        confidence: The mean of their confidences; None without answers.
        accuracy: The share of them that is right; None without answers.
    """

    low: float
    high: float
    pictures: int
    confidence: float | None
    accuracy: float | None


def reliability(
    confidences: NDArray[np.floating], right: NDArray[np.bool_], *, bins: int = BINS
) -> list[Bin]:
    """Sort first answers into bins of equal width by their confidence.

    Args:
        confidences: float [n], the probability of each first answer.
        right: bool [n], whether it is right.
        bins: How many bins.

    Returns:
        All bins, the empty ones too.
    """
    which = _bin_of(confidences, bins)
    found = []
    for number in range(bins):
        here = which == number
        count = int(here.sum())
        found.append(
            Bin(
                number / bins,
                (number + 1) / bins,
                count,
                float(np.mean(confidences[here], dtype=np.float64)) if count else None,
                float(right[here].mean()) if count else None,
            )
        )
    return found


def expected_calibration_error(
    confidences: NDArray[np.floating], right: NDArray[np.bool_], *, bins: int = BINS
) -> float:
    """The mean over the answers of |accuracy - mean confidence| of their bin; 0 is best, nan without answers.

    Args:
        confidences: float [n], the probability of each first answer.
        right: bool [n], whether it is right.
        bins: How many bins of equal width.
    """
    if len(confidences) == 0:
        return float("nan")
    gaps = np.asarray(confidences, np.float64) - right
    sums = np.bincount(_bin_of(confidences, bins), weights=gaps, minlength=bins)
    return float(np.abs(sums).sum() / len(confidences))


def error_by_chance(
    confidences: NDArray[np.floating], *, bins: int = BINS, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The calibration error that perfectly calibrated answers would show on so few pictures.

    The measure is never negative, so it is above 0 by chance alone. Here each answer is right with just the
    probability that it states, drawn anew many times (consistency resampling: Bröcker and Smith 2007, "Increasing the
    reliability of reliability diagrams").

    Args:
        confidences: float [n], the probability of each first answer.
        bins: How many bins of equal width.
        draws: How often.
        seed: Seed of the draws.

    Returns:
        The mean, and the value that 95 of 100 draws stay under; nan without answers.
    """
    if len(confidences) == 0:
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    errors = [
        expected_calibration_error(confidences, random.random(len(confidences)) < confidences, bins=bins)
        for _ in range(draws)
    ]
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def fit_temperature(logits: NDArray[np.floating], classes: NDArray[np.integer]) -> float:
    """The temperature whose softmax(logits / temperature) gives the lowest negative log-likelihood.

    In 1 / temperature the likelihood has one optimum, where the mean logit that the model expects equals the mean
    logit of the right class; it is found by bisection.

    Args:
        logits: float [n, classes], of pictures that the weights were not trained on, and that no figure is given for.
        classes: int [n], the right classes.

    Returns:
        The temperature, between `LOWEST_TEMPERATURE` and `HIGHEST_TEMPERATURE`; above 1 where the model was too sure.

    Raises:
        ValueError: No pictures, or logits that are not finite.
    """
    if len(logits) == 0 or not np.isfinite(logits).all():
        raise ValueError("A temperature needs at least one picture, and finite logits.")
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    of_truth = shifted[np.arange(len(shifted)), classes]
    low, high = np.log(1 / HIGHEST_TEMPERATURE), np.log(1 / LOWEST_TEMPERATURE)
    for _ in range(60):
        middle = (low + high) / 2
        weights = np.exp(shifted * np.exp(middle))
        expected = (weights * shifted).sum(axis=1) / weights.sum(axis=1)
        if float(np.mean(expected - of_truth)) > 0:
            high = middle
        else:
            low = middle
    return float(np.exp(-(low + high) / 2))


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities, float64 [n, classes], of logits, float [n, classes], divided by a temperature."""
    scaled = np.asarray(logits, np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _bin_of(confidences: NDArray[np.floating], bins: int) -> NDArray[np.int64]:
    """The bin of each confidence: edges belong to the bin below them, as in Guo et al."""
    return np.clip(np.ceil(np.asarray(confidences, np.float64) * bins).astype(np.int64) - 1, 0, bins - 1)
