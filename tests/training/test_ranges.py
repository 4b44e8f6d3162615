import argparse
from collections.abc import Callable

import pytest

from training.ranges import count, share, weight


def test_numbers_in_their_ranges() -> None:
    assert [count("1"), count("40")] == [1, 40]
    assert [share("0"), share("0.25")] == [0.0, 0.25]
    assert [weight("0"), weight("2.5")] == [0.0, 2.5]


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((count, text) for text in ("0", "-1", "1.5", "many", "")),
        *((share, text) for text in ("1", "-0.1", "nan", "some")),
        *((weight, text) for text in ("-1", "inf", "nan", "heavy")),
    ],
)
def test_numbers_out_of_them_are_named(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is no "):
        read(text)
