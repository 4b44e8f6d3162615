import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.split import split_groups


@settings(max_examples=100, deadline=None)
@given(
    pictures=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), min_size=1, max_size=200),
    seed=st.integers(0, 5),
)
def test_every_picture_has_one_part_and_no_group_is_parted(
    pictures: list[tuple[str, int]], seed: int
) -> None:
    labels = [label for label, _ in pictures]
    groups = np.array([group for _, group in pictures], np.int64)
    split = split_groups(labels, groups, validation=0.2, test=0.2, seed=seed)
    parts = [split.train.tolist(), split.validation.tolist(), split.test.tolist()]
    assert sorted(itertools.chain.from_iterable(parts)) == list(range(len(pictures)))
    in_parts = [set(groups[part].tolist()) for part in parts if part]
    assert sum(map(len, in_parts)) == len(set(groups.tolist()))
    assert {labels[position] for position in parts[0]} == set(labels), "every class is trained"


def test_every_class_with_three_groups_is_in_all_parts_by_its_share() -> None:
    labels = ["big"] * 200 + ["small"] * 5 + ["two"] * 2
    split = split_groups(labels, np.arange(len(labels)), validation=0.1, test=0.1, seed=3)
    for part, expected in (
        (split.test, (20, 1, 0)),
        (split.validation, (20, 1, 0)),
        (split.train, (160, 3, 2)),
    ):
        names = [labels[position] for position in part]
        assert (names.count("big"), names.count("small"), names.count("two")) == expected


def test_a_long_series_stays_in_training() -> None:
    groups = np.array([0] * 50 + list(range(1, 51)))
    split = split_groups(["a"] * 100, groups, validation=0.1, test=0.1, seed=0)
    assert set(range(50)) <= set(split.train.tolist())
    assert len(split.test) == len(split.validation) == 10


def test_a_class_of_long_series_alone_is_in_training_alone() -> None:
    split = split_groups(["a"] * 20, np.repeat(np.arange(4), 5), validation=0.1, test=0.1, seed=0)
    assert [len(split.train), len(split.validation), len(split.test)] == [20, 0, 0]


def test_the_seed_decides() -> None:
    labels, groups = ["a", "b"] * 100, np.arange(200)
    first, again, other = (split_groups(labels, groups, seed=seed) for seed in (1, 1, 2))
    assert first.test.tolist() == again.test.tolist()
    assert first.test.tolist() != other.test.tolist()
