import pytest

from app.shares import GOLDEN, SILVER, Share


@pytest.mark.parametrize("share", [0.01, 0.1, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("step", [GOLDEN, SILVER])
def test_of_any_requests_in_a_row_the_share_is_met(share: float, step: float) -> None:
    """Wherever one begins to count: the discrepancy of these sequences stays below a few."""
    choice = Share(share, step=step)
    taken = [choice.takes_next() for _ in range(5000)]
    for begin in (0, 17, 2500):
        for count in (10, 100, 2000):
            assert abs(sum(taken[begin : begin + count]) - share * count) < 3


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 0), (1.0, 1000)])
def test_none_and_all(share: float, wanted: int) -> None:
    choice = Share(share)
    assert sum(choice.takes_next() for _ in range(1000)) == wanted


@pytest.mark.parametrize("period", [2, 5, 10, 64])
def test_callers_that_take_turns_are_met_alike(period: int) -> None:
    """Every tenth request would always be the same one of ten cameras."""
    choice = Share(0.1, start=0.0)
    met = [0] * period
    for number in range(period * 1000):
        met[number % period] += choice.takes_next()
    assert min(met) > 80
    assert max(met) < 120


def test_two_choices_do_not_go_along_with_each_other() -> None:
    first, second = Share(0.5, start=0.2), Share(0.5, step=SILVER, start=0.2)
    both = sum(first.takes_next() & second.takes_next() for _ in range(4000))
    assert 900 < both < 1100
