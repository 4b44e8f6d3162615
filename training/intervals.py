"""Confidence intervals of shares: Wilson's for independent pictures, a bootstrap where pictures come in groups."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The two-sided 97.5% point of the normal distribution, for intervals of 95%.
Z_95 = 1.959963984540054
_DIGITS = 4
_RESAMPLES = 2000
_RESAMPLES_AT_ONCE = 200


def wilson(right: int, count: int, *, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of a share.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference"; recommended for small numbers
    and shares near 0 or 1 by Brown, Cai and DasGupta 2001, "Interval estimation for a binomial proportion".

    Args:
        right: How many of them.
        count: Of how many.
        z: The normal point; 95% by default.

    Returns:
        Lower and upper end; 0 and 1 where there is nothing to go by.

    Raises:
        ValueError: `right` is not between 0 and `count`.
    """
    if not 0 <= right <= count:
        raise ValueError(f"{right} of {count} is no share.")
    if count == 0:
        return 0.0, 1.0
    share, extra = right / count, z * z / count
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * math.sqrt(share * (1 - share) / count + extra / (4 * count))
    # At the ends the formula is exact; rounding must not push it past them.
    return (
        0.0 if right == 0 else max(0.0, middle - half),
        1.0 if right == count else min(1.0, middle + half),
    )


def share(right: int, of: int) -> dict[str, Any]:
    """A share with its counts and its 95% interval, for JSON.

    Args:
        right: How many.
        of: Of how many.

    Returns:
        `right`, `of`, `share`, None of nothing, and Wilson's `interval`, rounded.
    """
    return {
        "right": right,
        "of": of,
        "share": round(right / of, _DIGITS) if of else None,
        "interval": [round(end, _DIGITS) for end in wilson(right, of)],
    }


def group_bootstrap(
    right: NDArray[np.bool_], groups: NDArray[np.int64], *, resamples: int = _RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The 95% percentile interval of a share when whole groups are drawn anew, not single pictures.

    Pictures of one group (a series, copies) are right or wrong together, so they count for less than as many
    independent ones. Efron 1979, "Bootstrap methods: another look at the jackknife"; for groups: Field and Welsh
    2007, "Bootstrapping clustered data".

    Args:
        right: bool [pictures].
        groups: int64 [pictures], the group of each.
        resamples: How often the groups are drawn.
        seed: Seed of the draws.

    Returns:
        Lower and upper end; 0 and 1 where there are no pictures. A set that is all right, or of one group, gives an
        interval without width, which says nothing: Wilson's stands beside it.
    """
    if len(right) == 0:
        return 0.0, 1.0
    _, position = np.unique(groups, return_inverse=True)
    sizes = np.bincount(position)
    hits = np.bincount(position, weights=right)
    random = np.random.default_rng(seed)
    shares = []
    for start in range(0, resamples, _RESAMPLES_AT_ONCE):
        drawn = random.integers(
            len(sizes), size=(min(_RESAMPLES_AT_ONCE, resamples - start), len(sizes)), dtype=np.int32
        )
        shares.append(hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(shares), (0.025, 0.975))
    return float(low), float(high)
