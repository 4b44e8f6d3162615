"""What a check found: as a table, as JSON, and whether it is good enough."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rollout.checking import TOP, Comparison, Side

# Of pictures that the two versions see differently, so many are named.
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a new version must reach.

    Attributes:
        min_top1: Share of pictures with the same first answer.
        min_top3: Mean share of the first three answers that both name.
        max_difference: Mean difference of the probability of the running version's first answer.
        max_slower: 95th percentile of the new version's times over that of the running one's.
        max_errors: Pictures that the new version could not answer.
    """

    min_top1: float
    min_top3: float
    max_difference: float
    max_slower: float
    max_errors: int


def measured(comparison: Comparison, folder: Path | None = None) -> dict[str, Any]:
    """Sum up.

    Args:
        comparison: What was compared.
        folder: Where the new version was loaded from, if it was for the check.

    Returns:
        Counts; `top1_agreement`, `top3_overlap`, `probability_difference` and `total_variation`, means over the
        pictures that both answered, None where there are none; times of both in milliseconds, and their ratios.
    """
    agreements = list(comparison.agreements.values())

    def mean(values: list[float]) -> float | None:
        return round(float(np.mean(values)), 4) if values else None

    running, candidate = _side(comparison.running), _side(comparison.candidate)
    candidate["folder"] = None if folder is None else str(folder)
    return {
        "model": comparison.candidate.version.model,
        "pictures": len(agreements),
        "unreadable": len(comparison.unreadable),
        "top1_agreement": mean([float(one.same_first) for one in agreements]),
        f"top{TOP}_overlap": mean([one.overlap for one in agreements]),
        "probability_difference": mean([one.difference for one in agreements]),
        "total_variation": mean([one.total_variation for one in agreements]),
        "running": running,
        "candidate": candidate,
        "slower": {
            name: round(candidate[name] / running[name], 3) if running[name] and candidate[name] else None
            for name in ("p50_ms", "p95_ms")
        },
        "differing": [name for name, one in comparison.agreements.items() if not one.same_first][:_NAMED],
        "errors": [f"{name}: {reason}" for name, reason in comparison.candidate.errors][:_NAMED],
        "not_read": [f"{name}: {reason}" for name, reason in comparison.unreadable][:_NAMED],
    }


def failures(found: dict[str, Any], thresholds: Thresholds, missing_outputs: frozenset[str]) -> list[str]:
    """Say where a new version falls short; empty where it is good enough.

    Args:
        found: What `measured` gave.
        thresholds: What is asked for.
        missing_outputs: Outputs that the running version has and the new one lacks.
    """
    wrong = []
    if missing_outputs:
        wrong.append(
            f"it lacks the outputs {', '.join(sorted(missing_outputs))}, which the running version has"
        )
    if not found["pictures"]:
        return [*wrong, "no picture was answered by both versions"]
    if found["top1_agreement"] < thresholds.min_top1:
        wrong.append(
            f"top-1 agreement {found['top1_agreement']:.4f} is below {thresholds.min_top1:g} (--min-top1)"
        )
    if found[f"top{TOP}_overlap"] < thresholds.min_top3:
        wrong.append(
            f"top-3 overlap {found['top3_overlap']:.4f} is below {thresholds.min_top3:g} (--min-top3)"
        )
    if found["probability_difference"] > thresholds.max_difference:
        wrong.append(
            f"the mean difference of probability, {found['probability_difference']:.4f}, is above "
            f"{thresholds.max_difference:g} (--max-difference)"
        )
    if found["slower"]["p95_ms"] > thresholds.max_slower:
        wrong.append(
            f"its 95th percentile is {found['slower']['p95_ms']:.2f} times that of the running version, more than "
            f"{thresholds.max_slower:g} (--max-slower)"
        )
    if found["candidate"]["errors"] > thresholds.max_errors:
        wrong.append(
            f"it failed on {found['candidate']['errors']} pictures (--max-errors): {found['errors'][0]}"
        )
    return wrong


def table(found: dict[str, Any], wrong: list[str]) -> str:
    """Write it for people."""
    running, candidate = found["running"], found["candidate"]
    new = candidate["folder"] or f"version {candidate['version']}"
    lines = [
        f"{found['model']}: {new} against version {running['version']}, {found['pictures']} pictures"
        + (f", {found['unreadable']} unreadable" if found["unreadable"] else ""),
        "",
        f"{'the same first answer (top-1)':34}{_share(found['top1_agreement'])}",
        f"{'first three in common':34}{_share(found['top3_overlap'])}",
        f"{'mean difference of probability':34}{_number(found['probability_difference'])}",
        f"{'mean total variation':34}{_number(found['total_variation'])}",
        "",
        f"{'':34}{'running':>10}{'candidate':>12}{'ratio':>8}",
    ]
    for name, what in (("p50_ms", "latency, median, ms"), ("p95_ms", "latency, 95th percentile, ms")):
        ratio = found["slower"][name]
        lines.append(
            f"{what:34}{_number(running[name], 2):>10}{_number(candidate[name], 2):>12}{_number(ratio, 2):>8}"
        )
    lines.append(f"{'errors':34}{running['errors']:>10}{candidate['errors']:>12}")
    if found["differing"]:
        lines += ["", f"Another first answer, for instance: {', '.join(found['differing'])}"]
    lines += [f"Not read: {one}" for one in found["not_read"]]
    lines += ["", *(f"NOT GOOD ENOUGH: {one}." for one in wrong)] if wrong else ["", "Good enough."]
    return "\n".join(lines)


def _side(side: Side) -> dict[str, Any]:
    times = np.array(side.seconds) * 1000
    return {
        "version": side.version.number,
        "address": side.version.client.target,
        "input": [side.version.height, side.version.width],
        "p50_ms": round(float(np.quantile(times, 0.5)), 3) if times.size else None,
        "p95_ms": round(float(np.quantile(times, 0.95)), 3) if times.size else None,
        "errors": len(side.errors),
    }


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:.2%}"


def _number(value: float | None, digits: int = 4) -> str:
    return "—" if value is None else f"{value:.{digits}f}"
