import numpy as np
import pytest

from training.calibration import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    error_by_chance,
    expected_calibration_error,
    fit_temperature,
    reliability,
    softmax,
)
from training.classifier import HeadWeights


def test_the_error_worked_out_by_hand() -> None:
    # Five bins. (0.2, 0.4]: 0.4 right, so |1 - 0.4|; (0.4, 0.6]: 0.5 and 0.6 with one right, so |0.5 - 0.55|;
    # (0.8, 1]: 0.9, 1.0 and 0.95 with two right, so |2/3 - 0.95|.
    confidences = np.array([0.4, 0.5, 0.6, 0.9, 1.0, 0.95])
    right = np.array([True, False, True, True, True, False])
    expected = (1 * 0.6 + 2 * 0.05 + 3 * (0.95 - 2 / 3)) / 6
    assert expected_calibration_error(confidences, right, bins=5) == pytest.approx(expected)
    bins = reliability(confidences, right, bins=5)
    assert [one.pictures for one in bins] == [0, 1, 2, 0, 3]
    assert [(one.low, one.high) for one in bins][-1] == (0.8, 1.0)
    assert bins[0].accuracy is None
    assert bins[4].accuracy == pytest.approx(2 / 3)
    assert bins[4].confidence == pytest.approx(0.95)


def test_edges_belong_to_the_bin_below_and_zero_to_the_first() -> None:
    bins = reliability(np.array([0.0, 0.5, 0.51, 1.0]), np.ones(4, bool), bins=2)
    assert [one.pictures for one in bins] == [2, 2]


def test_nothing_has_no_error() -> None:
    assert np.isnan(expected_calibration_error(np.empty(0), np.empty(0, bool)))
    assert all(np.isnan(error_by_chance(np.empty(0))))


@pytest.mark.parametrize("planted", [0.4, 1.0, 2.5])
def test_a_planted_temperature_is_found_again(planted: float) -> None:
    random = np.random.default_rng(3)
    logits = random.normal(scale=2.0, size=(20_000, 12))
    chances = softmax(logits, planted)
    classes = (random.random((len(logits), 1)) > chances.cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(logits, classes) == pytest.approx(planted, rel=0.04)
    # A constant added to all logits of a picture changes no probability.
    shifted = logits + random.normal(scale=50, size=(len(logits), 1))
    assert fit_temperature(shifted, classes) == pytest.approx(fit_temperature(logits, classes), rel=1e-6)


def test_scaling_by_the_fitted_temperature_mends_the_error() -> None:
    random = np.random.default_rng(5)
    logits = random.normal(scale=2.0, size=(8000, 8))
    chances = softmax(logits)
    classes = (random.random((len(logits), 1)) > chances.cumsum(axis=1)).sum(axis=1)
    too_sure = 3 * logits
    half = len(logits) // 2
    temperature = fit_temperature(too_sure[:half], classes[:half])
    right = too_sure[half:].argmax(axis=1) == classes[half:]
    before = expected_calibration_error(softmax(too_sure[half:]).max(axis=1), right)
    after = expected_calibration_error(softmax(too_sure[half:], temperature).max(axis=1), right)
    assert before > 0.15
    assert after < 0.03


def test_sets_without_an_optimum_end_at_the_bounds() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(logits, np.array([0, 1])) == pytest.approx(LOWEST_TEMPERATURE)
    assert fit_temperature(logits, np.array([1, 0])) == pytest.approx(HIGHEST_TEMPERATURE)
    for bad in (np.empty((0, 2)), np.array([[np.nan, 0.0]])):
        with pytest.raises(ValueError, match="finite"):
            fit_temperature(bad, np.zeros(len(bad), int))


def test_perfect_answers_err_by_chance_less_on_more_pictures() -> None:
    random = np.random.default_rng(0)
    few = error_by_chance(random.uniform(0.3, 1, 200), draws=200)
    many = error_by_chance(random.uniform(0.3, 1, 20_000), draws=200)
    assert 0.03 < few[0] < few[1] < 0.15
    assert many[1] < 0.015
    assert error_by_chance(np.ones(50), draws=5) == (0.0, 0.0)


def test_a_head_takes_the_temperature_into_its_last_layer() -> None:
    random = np.random.default_rng(0)
    layers = [
        (random.normal(size=shape).astype(np.float32), np.ones(shape[1], np.float32))
        for shape in ((5, 4), (4, 3))
    ]
    head = HeadWeights(tuple(layers))
    features = random.normal(size=(6, 5)).astype(np.float32)
    np.testing.assert_allclose(
        head.with_temperature(2.5).logits(features), head.logits(features) / 2.5, rtol=1e-5, atol=1e-6
    )
