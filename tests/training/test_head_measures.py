"""What is measured of the heads beside the classes where pictures have no values for them; no model is asked here."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.test_ablation import HEAD_CARD
from training.card import readable_card
from training.data import Picture
from training.head_measures import measure_beside
from training.intervals import share
from training.served import ExportedModel
from training.targets import Targets

PARTS = ("train", "validation", "validation", "test", "test")
BOTH = ("yes", "yes", "no", "yes", "no")
EYES = ("indoor", "outdoor", "", "outdoor", "")


class Knowing:
    """In place of an exported model: sure of sport on what is odd, and of outdoor everywhere."""

    def outputs_for(self, pictures: list[Picture]) -> dict[str, NDArray[Any]]:
        assert pictures
        return {
            "is_sport": np.array([int(one.name) % 2 for one in pictures], np.float32),
            "environment_probabilities": np.tile(np.array([[0.2, 0.8]]), (len(pictures), 1)),
            "environment_names": np.tile(np.array([[b"indoor", b"outdoor"]]), (len(pictures), 1)),
        }


def measured(values: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    pictures = tuple(Picture(str(number), Path(str(number)), "judo", "") for number in range(1, 6))
    table = Targets(pictures, PARTS, values)
    return measure_beside(cast("ExportedModel", Knowing()), table, ["is_sport", "environment"])


def test_heads_are_measured_where_the_table_knows_them() -> None:
    figures = measured({"is_sport": BOTH, "environment": EYES})
    assert figures["heads_not_measured"] == []
    assert figures["heads"]["environment"]["all"] == share(1, 1)
    assert figures["heads"]["is_sport"]["recall"]["of"] == 1


@pytest.mark.parametrize(
    "values",
    [
        {"is_sport": ("yes", "yes", "no", "yes", "yes"), "environment": ("indoor", "outdoor", "", "", "")},
        {"is_sport": ("no", "yes", "", "yes", "no")},
        {"is_sport": ("no", "yes", "no", "", ""), "environment": ("",) * 5},
        {},
    ],
)
def test_heads_that_no_picture_can_measure_are_named_instead(values: dict[str, tuple[str, ...]]) -> None:
    assert measured(values) == {"heads": {}, "heads_not_measured": ["is_sport", "environment"]}


def test_a_card_says_what_was_not_measured() -> None:
    tops = {"pictures": 2} | {f"top{k}": {"right": 1, "share": 0.5} for k in (1, 3, 5)}
    metrics: dict[str, Any] = {
        "all": tops,
        "by_source": {},
        "mean_over_classes": {"top1": 0.5, "top3": 0.5},
        "by_class": [],
        "confused": [],
        "calibration_error": 0.1,
    }
    card = copy.deepcopy(HEAD_CARD) | {
        "model": "classifier",
        "made": "2026-01-01",
        "code": {"commit": "c0ffee"},
        "input": {"height": 32, "width": 32},
        "temperature": 1.0,
        "sources": [],
    }
    card["data"]["pictures"] = 4
    rows = [{"id": "1", "name": "One", "trained_on": 50, "groups": []}]
    none = {"heads": {}, "heads_not_measured": ["is_sport", "environment"]}
    text = readable_card({**card, "classes": rows, "metrics": metrics | none})
    assert "`is_sport`: answered, but not measured, as validation and test part do not both have" in text
    assert "`environment`: answered, but not measured, as no test picture has a label for it" in text
    assert "## The other heads" not in readable_card({**card, "classes": rows, "metrics": metrics})
    groups = {name: share(0, 0) for name in ("given_type", "end_to_end", "where_there_is_a_choice")}
    text = readable_card({**card, "types": rows, "metrics": metrics | {"groups": groups}})
    assert "Sports groups are answered, but not measured" in text
