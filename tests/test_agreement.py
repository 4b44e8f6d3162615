import numpy as np
import pytest

from agreement import Agreement, agreement

FIRST = [("a", 0.7), ("b", 0.2), ("c", 0.1)]


def test_a_ranking_agrees_with_itself() -> None:
    assert agreement(FIRST, FIRST) == Agreement(True, 1.0, 0.0, 0.0)
    assert agreement([], []) == Agreement(True, 1.0, 0.0, 0.0)


def test_the_figures_of_two_that_differ() -> None:
    found = agreement(FIRST, [("b", 0.5), ("a", 0.3), ("d", 0.2)])
    assert not found.same_first
    assert found.overlap == pytest.approx(2 / 3)
    assert found.difference == pytest.approx(0.4)
    # |0.7 - 0.3| + |0.2 - 0.5| + 0.1 + 0.2, halved.
    assert found.total_variation == pytest.approx(0.5)


def test_what_is_not_named_counts_as_one_class() -> None:
    found = agreement([("a", 0.6)], [("a", 0.9), ("b", 0.1)])
    assert (found.same_first, found.overlap) == (True, 0.5)
    assert found.total_variation == pytest.approx((0.3 + 0.1 + 0.4) / 2)
    nothing = agreement(FIRST, [])
    assert (nothing.same_first, nothing.overlap, nothing.difference) == (False, 0.0, 0.7)
    assert nothing.total_variation == pytest.approx(1.0)


def test_what_is_cut_may_bring_the_whole_nearer_or_further_apart() -> None:
    # Both may be half a and half b.
    assert agreement([("a", 0.5), ("b", 0.5)], [("a", 0.5)]).total_variation == 0.5
    # The other halves may be b and c.
    assert agreement([("a", 0.5)], [("a", 0.5)]).total_variation == 0.0


@pytest.mark.parametrize("kept", [(12, 12), (3, 3), (1, 4), (6, 0)])
def test_what_is_cut_moves_it_by_no_more_than_is_unnamed(kept: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        whole = [
            sorted(((str(one), float(share)) for one, share in enumerate(shares)), key=lambda pair: -pair[1])
            for shares in random.dirichlet(np.full(12, 0.5), 2)
        ]
        cut = [ranking[:count] for ranking, count in zip(whole, kept, strict=True)]
        unnamed = sum(
            share for ranking, count in zip(whole, kept, strict=True) for _, share in ranking[count:]
        )
        found = agreement(cut[0], cut[1]).total_variation
        assert abs(found - agreement(whole[0], whole[1]).total_variation) <= unnamed + 1e-9


def test_nothing_in_common_is_one() -> None:
    assert agreement([("a", 1.0)], [("b", 1.0)]) == Agreement(False, 0.0, 1.0, 1.0)


def test_top_must_be_a_number_of_classes() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        agreement(FIRST, FIRST, top=0)
