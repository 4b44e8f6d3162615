"""What is read off a model's outputs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.rankings import CLASSES, TYPES_WITH_GROUPS, RankedClass, likeliest
from proto_client import InvalidReply

_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
_SCORES = st.floats(-30, 30)


def softmax(scores: list[float]) -> NDArray[np.float32]:
    """As a model's graph makes probabilities of scores: float32, here sorted too."""
    weights = np.exp(np.sort(np.array(scores, np.float32))[::-1] - max(scores))
    shares: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return shares


def rows_of(types: dict[str, dict[str, float]]) -> dict[str, NDArray[Any]]:
    """One picture's outputs of a product model that has these types with the scores of their groups."""
    most = max(map(len, types.values()))
    probabilities = np.zeros((len(types), most), np.float32)
    names = np.full((len(types), most), b"", object)
    for place, groups in enumerate(types.values()):
        probabilities[place, : len(groups)] = softmax(list(groups.values()))
        names[place, : len(groups)] = [name.encode() for name in groups]
    encoded = [name.encode() for name in types]
    return {
        "probabilities": softmax([0.0] * len(types)),
        "class_ids": np.array(encoded, object),
        "class_names": np.array(encoded, object),
        "group_probabilities": probabilities,
        "group_names": names,
    }


@given(
    st.dictionaries(_NAMES, st.dictionaries(_NAMES, _SCORES, min_size=1, max_size=9), min_size=1, max_size=8)
)
def test_all_groups_of_a_type_are_read_and_sum_to_one(types: dict[str, dict[str, float]]) -> None:
    ranking = TYPES_WITH_GROUPS.read(rows_of(types))
    assert [ranked.name for ranked in ranking] == list(types)
    for ranked in ranking:
        probabilities = [group.probability for group in ranked.groups]
        assert [group.name for group in ranked.groups] == list(types[ranked.name])
        assert sum(probabilities) == pytest.approx(1, abs=1e-6)
        assert probabilities == sorted(probabilities, reverse=True)


@given(
    st.lists(st.floats(0, 1), max_size=20).map(lambda found: sorted(found, reverse=True)),
    st.integers(1, 20),
    st.floats(0, 1),
)
def test_a_cut_is_the_head_of_the_ranking(found: list[float], top_k: int, threshold: float) -> None:
    ranking = [RankedClass(str(place), "", probability) for place, probability in enumerate(found)]
    cut = likeliest(ranking, top_k, threshold)
    assert cut == ranking[: len(cut)]
    assert len(cut) == min(top_k, sum(probability >= threshold for probability in found))


def outputs_of(types: dict[str, dict[str, float]]) -> dict[str, NDArray[Any]]:
    """The same with the batch dimension, of one picture."""
    return {name: row[np.newaxis] for name, row in rows_of(types).items()}


def test_each_picture_has_its_own_ranking() -> None:
    first, second = outputs_of({"skis": {"Skiing": 0.0}}), outputs_of({"boots": {"Hiking": 0.0}})
    both = {name: np.concatenate([first[name], second[name]]) for name in first}
    names = [TYPES_WITH_GROUPS.ranking(both, picture)[0].name for picture in range(2)]
    assert names == ["skis", "boots"]


def test_outputs_that_do_not_fit_each_other_are_never_answered() -> None:
    outputs = outputs_of({"skis": {"Skiing": 0.0}, "boots": {"Skiing": 0.0}})
    for name in ("class_names", "group_names"):
        with pytest.raises(InvalidReply, match="shorter"):
            TYPES_WITH_GROUPS.ranking({**outputs, name: outputs[name][:, :1]}, 0)
    with pytest.raises(InvalidReply, match="shorter"):
        CLASSES.ranking({**outputs, "probabilities": outputs["probabilities"][:, :1]}, 0)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("class_ids", np.array([[1, 2]], np.int64)),
        ("class_ids", np.array([[b"1", b"\xff"]], object)),
        ("class_names", np.array([b"Skiing"], object)),
        ("probabilities", np.array([[b"much", b"little"]], object)),
        ("probabilities", np.zeros((1, 2, 2), np.float32)),
        ("probabilities", np.array([[np.nan, np.nan]], np.float32)),
        ("group_probabilities", np.array([[[np.inf], [1.0]]], np.float32)),
        ("probabilities", np.array([0.5], np.float32)),
        ("probabilities", np.zeros((0, 2), np.float32)),
        ("probabilities", np.array(0.5, np.float32)),
        ("group_names", np.array([[b"Skiing", b"Skiing"]], object)),
        ("group_names", None),
    ],
)
def test_what_cannot_be_read_is_an_invalid_reply(name: str, wrong: NDArray[Any] | None) -> None:
    outputs = outputs_of({"skis": {"Skiing": 0.0}, "boots": {"Skiing": 0.0}})
    assert len(TYPES_WITH_GROUPS.ranking(outputs, 0)) == 2
    del outputs[name]
    if wrong is not None:
        outputs[name] = wrong
    with pytest.raises(InvalidReply, match="cannot be read"):
        TYPES_WITH_GROUPS.ranking(outputs, 0)
