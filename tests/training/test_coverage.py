import numpy as np
import pytest

from training.coverage import check_coverage
from training.errors import DataError

NAMES = ("Archery", "Bowls", "Curling")
# Two pictures of archery, four of bowls, one of curling.
CLASSES = np.array([0, 0, 1, 1, 1, 1, 2])


def test_classes_that_are_everywhere_need_no_word() -> None:
    parts = {"train": np.array([0, 2, 3, 6]), "validation": np.array([1, 4]), "test": np.array([], np.int64)}
    assert check_coverage(NAMES[:2], CLASSES[:6], {**parts, "train": np.array([0, 2, 3])}) == []
    (line,) = check_coverage(NAMES, CLASSES, parts)
    assert line.startswith("not measured in the validation part, where they have no picture: Curling (1). In")


def test_a_class_that_is_never_trained_is_refused() -> None:
    parts = {"train": np.array([2, 3]), "validation": np.array([0, 6]), "test": np.array([1, 4, 5])}
    with pytest.raises(
        DataError, match=r"training part of Archery, Curling: it could only be answered wrong"
    ):
        check_coverage(NAMES, CLASSES, parts)
    # A class that has no pictures at all is not asked for here.
    assert check_coverage(("None", *NAMES), CLASSES + 1, {"train": np.arange(7)}) == []


def test_long_lists_are_cut_short() -> None:
    names = [str(number) for number in range(20)]
    parts = {"train": np.arange(20), "test": np.arange(1)}
    (line,) = check_coverage(names, np.arange(20), {**parts, "test": np.array([0])})
    assert "1 (1), 2 (1)," in line
    assert "8 (1) and 11 more. In brackets" in line
