import numpy as np
import pytest

from training.intervals import group_bootstrap, wilson


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_values(right: int, count: int, low: float, high: float) -> None:
    assert wilson(right, count) == pytest.approx((low, high), abs=5e-5)
    assert wilson(count - right, count) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_at_the_ends() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(7, 7)[1] == 1.0
    for right, count in ((-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="no share"):
            wilson(right, count)


def test_single_pictures_are_drawn_as_wilson_expects() -> None:
    right = np.arange(1000) < 800
    low, high = group_bootstrap(right, np.arange(1000))
    assert (low, high) == pytest.approx(wilson(800, 1000), abs=0.005)
    assert (low, high) == group_bootstrap(right, np.arange(1000))


def test_groups_that_are_right_together_widen_the_interval() -> None:
    # 100 groups of ten, 80 of them wholly right: as 100 independent pictures.
    right = np.repeat(np.arange(100) < 80, 10)
    low, high = group_bootstrap(right, np.repeat(np.arange(100), 10))
    assert (low, high) == pytest.approx(wilson(80, 100), abs=0.02)


def test_groups_of_unequal_size_and_none() -> None:
    # Either group, or both: the share is 0, 3/4 or 1.
    right = np.array([True, True, True, False])
    assert group_bootstrap(right, np.array([5, 5, 5, 9])) == (0.0, 1.0)
    assert group_bootstrap(np.empty(0, bool), np.empty(0, np.int64)) == (0.0, 1.0)
    assert group_bootstrap(np.ones(3, bool), np.zeros(3, np.int64)) == (1.0, 1.0)
