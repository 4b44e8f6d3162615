import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.cleaning_data import clouds
from training.cleaning.confident import (
    METHODS,
    confident_classes,
    estimate_noise,
    find_suspects,
    predicted_instead,
    scores,
)

LABELS = np.array([0, 0, 0, 1, 1, 2])
PROBABILITIES = np.array(
    [
        [0.8, 0.1, 0.1],
        [0.6, 0.3, 0.1],
        [0.1, 0.7, 0.2],  # labelled 0, looks like 1
        [0.2, 0.7, 0.1],
        [0.4, 0.5, 0.1],
        [0.1, 0.2, 0.7],
    ],
    np.float32,
)


def test_thresholds_confident_joint_and_joint_by_hand() -> None:
    estimate = estimate_noise(LABELS, PROBABILITIES)
    np.testing.assert_allclose(estimate.thresholds, [0.5, 0.6, 0.7], rtol=1e-6)
    # The second of label 1 reaches no threshold: it is counted nowhere.
    assert confident_classes(PROBABILITIES, estimate.thresholds).tolist() == [0, 0, 1, 1, -1, 2]
    assert estimate.confident.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(estimate.joint, [[2, 1, 0], [0, 2, 0], [0, 0, 1]])
    assert estimate.noise == pytest.approx(1 / 6)


def test_of_several_confident_classes_the_likeliest_counts() -> None:
    found = confident_classes(np.array([[0.45, 0.5, 0.05]], np.float32), np.array([0.4, 0.4, 0.9]))
    assert found.tolist() == [1]


def test_a_class_without_pictures_is_never_confidently_predicted() -> None:
    estimate = estimate_noise(np.array([0, 0]), np.array([[0.2, 0.8], [0.3, 0.7]], np.float32))
    assert estimate.thresholds[1] == np.inf
    assert estimate.confident[:, 1].tolist() == [0, 0]
    assert estimate.joint.sum() == 2


def test_the_expected_joint_keeps_the_noise_of_each_label() -> None:
    expected = estimate_noise(LABELS, PROBABILITIES).expected(np.array([0] * 6 + [1]))
    np.testing.assert_allclose(expected, [[4, 2, 0], [0, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_one_that_is_wrong(method: str) -> None:
    chosen = find_suspects(LABELS, PROBABILITIES, estimate_noise(LABELS, PROBABILITIES), method=method)
    assert np.flatnonzero(chosen).tolist() == [2]


def test_a_label_that_is_the_likeliest_class_is_never_a_suspect() -> None:
    estimate = estimate_noise(LABELS, PROBABILITIES)
    chosen = find_suspects(np.array([0, 0, 0]), PROBABILITIES[:2].repeat([2, 1], axis=0), estimate)
    assert not chosen.any()


def test_scores_by_hand() -> None:
    np.testing.assert_allclose(scores(LABELS, PROBABILITIES)[[0, 2]], [(1 + 0.1 - 0.8) / 2, 0.8], rtol=1e-6)
    np.testing.assert_allclose(
        scores(LABELS, PROBABILITIES, "self-confidence")[[0, 2]], [0.2, 0.9], rtol=1e-6
    )
    assert predicted_instead(LABELS, PROBABILITIES).tolist() == [1, 1, 1, 0, 0, 1]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no method 'all'"):
        find_suspects(LABELS, PROBABILITIES, estimate_noise(LABELS, PROBABILITIES), method="all")
    with pytest.raises(ValueError, match="no ranking 'worst'"):
        scores(LABELS, PROBABILITIES, "worst")


def nearest_centre(features: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    distances = -((features[:, None] - centres) ** 2).sum(axis=2) / 2
    likelihoods = np.exp(distances - distances.max(axis=1, keepdims=True))
    return np.asarray(likelihoods / likelihoods.sum(axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_planted_noise_is_found(method: str) -> None:
    features, truth, labels = clouds(each=100, wrong=12)
    centres = np.stack([features[truth == one].mean(axis=0) for one in range(4)])
    probabilities = nearest_centre(features, centres)
    estimate = estimate_noise(labels, probabilities)
    assert estimate.noise == pytest.approx((labels != truth).mean(), abs=0.01)
    chosen, wrong = find_suspects(labels, probabilities, estimate, method=method), labels != truth
    assert (chosen & wrong).sum() / chosen.sum() >= 0.95
    assert (chosen & wrong).sum() / wrong.sum() >= 0.9


def test_clean_labels_give_hardly_any_suspects() -> None:
    features, truth, _ = clouds(each=100, wrong=0)
    centres = np.stack([features[truth == one].mean(axis=0) for one in range(4)])
    probabilities = nearest_centre(features, centres)
    assert find_suspects(truth, probabilities, estimate_noise(truth, probabilities)).sum() <= 1
