"""What the probabilities are worth: calibration with and without the temperature, and abstaining when unsure."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.calibration import BINS, error_by_chance, expected_calibration_error, reliability
from training.report.asked import Asked
from training.report.shares import DIGITS, share_of

THRESHOLDS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_POINTS = 100


def calibration(confidences: NDArray[np.floating], right: NDArray[np.bool_]) -> dict[str, Any]:
    """Measure how well the probabilities of first answers fit.

    Args:
        confidences: float [n].
        right: bool [n].

    Returns:
        `pictures`, `accuracy`, mean `confidence`, `error` (expected calibration error), `error_by_chance` (the mean
        of a perfect model on as many pictures, and what 95 of 100 such samples stay under) and `bins`.
    """
    by_chance = error_by_chance(confidences)
    return {
        "pictures": len(right),
        "accuracy": _rounded(right.mean()),
        "confidence": _rounded(np.mean(confidences, dtype=np.float64)),
        "error": _rounded(expected_calibration_error(confidences, right)),
        "error_by_chance": {"mean": _rounded(by_chance[0]), "p95": _rounded(by_chance[1])},
        "bins": [
            {name: value if name == "pictures" else _rounded(value) for name, value in asdict(one).items()}
            for one in reliability(confidences, right, bins=BINS)
        ],
    }


def calibration_of(
    asked: Asked,
    main: NDArray[np.bool_] | None,
    temperature: float | None,
    untempered: NDArray[np.floating] | None,
) -> dict[str, Any]:
    """Measure calibration as served, and without the temperature.

    Args:
        asked: The pictures and answers.
        main: bool [pictures]: the main set; None where there is none.
        temperature: What the exported graph divides its logits by; None where the card says nothing.
        untempered: float [pictures]: the first answers' probabilities without it; None where unknown.

    Returns:
        `temperature`, `bins` (their number), `served` and `without_temperature` (as `calibration` gives them, the
        second None where unknown), and `parts`: `served` for main set and rest, without bins.
    """
    parts = []
    if main is not None:
        for name, here in (("Main set", main), ("Rest", ~main)):
            if here.any():
                figures = calibration(asked.confidences[here], asked.right[here])
                del figures["bins"]
                parts.append({"name": name, **figures})
    return {
        "temperature": temperature,
        "bins": BINS,
        "served": calibration(asked.confidences, asked.right),
        "without_temperature": None if untempered is None else calibration(untempered, asked.right),
        "parts": parts,
    }


def abstaining(confidences: NDArray[np.floating], right: NDArray[np.bool_]) -> dict[str, Any]:
    """Measure accuracy where only answers of a least probability are given.

    El-Yaniv and Wiener 2010, "On the foundations of noise-free selective classification"; the area under the curve is
    Geifman, Uziel and El-Yaniv 2019's.

    Args:
        confidences: float [n].
        right: bool [n].

    Returns:
        `thresholds`: rows of `threshold`, `answered`, `coverage` and `accuracy` (a share with interval); `curve`:
        points of `coverage`, `risk` (the share of wrong answers among those given) and `threshold`; `area`: the mean
        risk over all coverages, 0 is best.
    """
    count = len(right)
    rows = []
    for threshold in THRESHOLDS:
        given = confidences >= threshold
        answered = int(given.sum())
        rows.append(
            {
                "threshold": threshold,
                "answered": answered,
                "coverage": _rounded(answered / count),
                "accuracy": share_of(int(right[given].sum()), answered),
            }
        )
    order = np.argsort(-confidences, kind="stable")
    risks = np.cumsum(~right[order]) / np.arange(1, count + 1)
    # Answers of equal probability are given together or not at all.
    last_of_equals = np.append(np.diff(confidences[order]) != 0, True)
    ends = np.flatnonzero(last_of_equals)
    shown = ends[np.unique(np.linspace(0, len(ends) - 1, min(_POINTS, len(ends))).astype(int))]
    return {
        "thresholds": rows,
        "curve": [
            {
                "coverage": _rounded((end + 1) / count),
                "risk": _rounded(risks[end]),
                "threshold": _rounded(confidences[order][end]),
            }
            for end in shown.tolist()
        ],
        "area": _rounded(np.mean(risks)),
    }


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), DIGITS)
