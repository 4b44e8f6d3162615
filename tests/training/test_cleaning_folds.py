from pathlib import Path

import numpy as np
import pytest

from tests.training.cleaning_data import HEAD, LABELS, prepared_clouds
from training.cleaning.folds import group_folds, judgeable, out_of_fold
from training.cleaning.suspects import list_suspects, read_suspects, relation_of, write_suspects
from training.errors import DataError


def test_no_group_is_divided_and_classes_are_spread() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(0, 150, size=400) * 7  # numbers with gaps
    classes = groups // 7 % 5
    folds = group_folds(classes, groups, 4)
    assert set(folds.tolist()) == {0, 1, 2, 3}
    for group in np.unique(groups):
        assert len(set(folds[groups == group].tolist())) == 1
    for one in range(5):
        counts = np.bincount(folds[classes == one], minlength=4)
        assert counts.max() - counts.min() <= np.bincount(groups).max()
    np.testing.assert_array_equal(folds, group_folds(classes, groups, 4))


def test_a_group_of_several_classes_stays_whole() -> None:
    folds = group_folds(np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 2, 3, 4]), 2)
    assert folds[0] == folds[1]


def test_one_fold_is_refused() -> None:
    with pytest.raises(DataError, match="two or more"):
        group_folds(np.array([0, 1]), np.array([0, 1]), 1)


def test_a_class_that_lies_in_one_fold_is_not_judged() -> None:
    classes, folds = np.array([0, 0, 1, 1, 1, 0]), np.array([0, 1, 0, 0, -1, -1])
    # Class 1 was learned in fold 0 alone: its own pictures there cannot be judged, the one in the test part can.
    assert judgeable(classes, folds, folds >= 0).tolist() == [True, True, False, False, True, True]


def test_planted_noise_is_found_by_heads_that_never_saw_it(tmp_path: Path) -> None:
    prepared, truth = prepared_clouds(tmp_path)
    probabilities, folds = out_of_fold(prepared, HEAD, pooling="avg+max", folds=3, progress=False)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(np.flatnonzero(folds < 0), prepared.split.test)
    for group in np.unique(prepared.groups):
        assert len(set(folds[prepared.groups == group].tolist())) == 1

    judged = judgeable(truth, folds, folds >= 0)
    suspects, noise = list_suspects(prepared, probabilities, judged)
    wrong = {
        picture.name
        for picture, true in zip(prepared.data.pictures, truth.tolist(), strict=True)
        if picture.label != LABELS[true]
    }
    found = {one.file for one in suspects}
    assert len(found & wrong) / len(found) >= 0.9
    assert len(found & wrong) / len(wrong) >= 0.7
    assert noise == pytest.approx(0.1, abs=0.05)
    assert [one.score for one in suspects] == sorted((one.score for one in suspects), reverse=True)
    assert {one.part for one in suspects} >= {"train", "test"}
    pairs = {(one.label, one.predicted): one.relation for one in suspects}
    assert all((relation == "part") == (set(pair) == set(LABELS[:2])) for pair, relation in pairs.items())

    write_suspects(tmp_path / "suspects.csv", suspects)
    assert read_suspects(tmp_path / "suspects.csv") == suspects


@pytest.mark.parametrize(
    ("label", "other", "relation"),
    [
        ("volleyball", "Beach volleyball", "part"),
        ("balance beam", "gymnastics", "part"),  # through artistic gymnastics
        ("rifle shooting", "pistol shooting", "sibling"),
        ("chess", "judo", ""),
        ("camping", "hiking", ""),
        ("chess", "no sport", ""),
    ],
)
def test_relations_come_from_the_catalogue(label: str, other: str, relation: str) -> None:
    assert relation_of(label, other) == relation_of(other, label) == relation


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("file,label\na,b\n")
    with pytest.raises(DataError, match="no list of suspects"):
        read_suspects(tmp_path / "other.csv")
    with pytest.raises(DataError, match="no list of suspects"):
        read_suspects(tmp_path / "none.csv")
