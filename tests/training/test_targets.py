from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from training.data import Picture
from training.errors import DataError
from training.head_set import UNKNOWN, Head, HeadSet
from training.passes import Parts
from training.targets import Targets

SPORT = Head("sport", ("1", "2"), ("A", "B"))
RACKETS = Head("product_group/racket", ("Badminton", "Tennis"), ("Badminton", "Tennis"))
PICTURES = tuple(Picture(name, Path(name), "", "") for name in "abcd")
TABLE = Targets(
    PICTURES,
    ("train", "train", "train", "test"),
    {
        "product_type": ("racket", "racket", "shoe", ""),
        "product_group": ("racket/Tennis", "racket/Badminton", "", ""),
    },
)


def test_a_weight_is_for_a_new_column() -> None:
    new = TABLE.new_heads(HeadSet((SPORT,)), {"product_group": 0.5})
    assert [(head.name, head.weight) for head in new.heads] == [
        ("product_type", 1.0),
        ("product_group/racket", 0.5),
    ]


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("is_sprot", "product_type"),
        ("sport", "product_type"),
        ("product_group", "product_type"),
        ("product_group/racket", "product_type"),
    ],
)
def test_a_weight_for_anything_else_is_refused(name: str, new: str) -> None:
    with pytest.raises(DataError, match=f"--head-weight {name}: no new head .*; new are {new}\\."):
        TABLE.new_heads(HeadSet((SPORT, RACKETS)), {name: 0.5})


def test_nothing_is_known_of_heads_that_the_table_has_no_column_for() -> None:
    classes = TABLE.classes(HeadSet((SPORT, RACKETS)))
    assert classes.tolist() == [[UNKNOWN, 1], [UNKNOWN, 0], [UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN]]


def test_what_is_taught_and_measured_has_a_digest() -> None:
    def digest(classes: list[list[int]], train: Sequence[int] = (0, 1), held_out: int | None = 2) -> str:
        validation = None if held_out is None else np.array([held_out])
        return Parts(PICTURES, np.array(classes), np.array(train), validation).digest

    values = [[0], [1], [1], [0]]
    assert digest(values) == digest([list(row) for row in values])
    others = [
        digest([[1], [1], [1], [0]]),
        digest([[0, 1], [1, 0]]),
        digest(values, train=[0, 3]),
        digest(values, held_out=3),
        digest(values, held_out=None),
        digest(values, train=[0, 1, 2], held_out=None),
    ]
    assert len({digest(values), *others}) == 7
