import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from training.classifier import HeadWeights
from training.errors import TrainingError
from training.head import Features, HeadSettings, class_weights, train_head, try_head
from training.optimizers import OPTIMIZERS, build_optimizer
from training.watching import measure_logits

QUICK = HeadSettings(
    hidden=16, epochs=12, batch=16, learning_rate=3e-2, weight_decay=0, input_dropout=0, dropout=0.1
)


def blobs(each: int, classes: int = 3, *, views: int = 2, seed: int = 0) -> Features:
    """Clouds of points that a head can tell apart; each view a little moved."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = 4 * np.eye(classes, 6)[labels]
    return Features(
        (centres + random.normal(scale=0.3, size=(views, len(labels), 6))).astype(np.float16), labels
    )


@pytest.mark.parametrize("shape", [{"hidden": 0}, {"hidden": 16}, {"layers": 3}])
def test_a_head_learns_what_can_be_learnt(shape: dict[str, Any]) -> None:
    settings = dataclasses.replace(QUICK, **shape)
    rows: list[dict[str, Any]] = []
    candidate = try_head(
        blobs(30), blobs(10, views=1, seed=1), settings, 3, seed=0, progress=False, after_epoch=rows.append
    )
    assert candidate.top1 > 0.95
    assert candidate.top3 == 1.0
    assert 0 <= candidate.loss < 1
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    best = rows[candidate.epochs - 1]
    assert best["validation_loss"] == min(row["validation_loss"] for row in rows)
    assert best["validation_loss"] == pytest.approx(candidate.loss, rel=1e-4, abs=1e-6), (
        "the best weights are kept"
    )
    assert rows[0]["pictures_per_second"] > 0
    assert rows[-1]["learning_rate"] < settings.learning_rate


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimiser_learns_at_its_usual_rate(name: str) -> None:
    known = OPTIMIZERS[name]
    settings = dataclasses.replace(
        QUICK,
        optimizer=name,
        learning_rate=1e-2 * known.scale,
        weight_decay=0.1 / known.scale,
        epochs=40,
        patience=40,
    )
    candidate = try_head(blobs(30), blobs(10, views=1, seed=1), settings, 3, seed=0, progress=False)
    assert candidate.top1 > 0.75, "a third is chance"
    optimizer = build_optimizer(name, 0.1, 0.5)
    assert optimizer.weight_decay == (0.5 if known.decays else None)


def test_an_optimiser_that_is_not_there_is_named_with_those_that_are() -> None:
    settings = dataclasses.replace(QUICK, optimizer="adagrad")
    with pytest.raises(TrainingError, match=r"no optimiser 'adagrad'; there are adamw, .*lion"):
        train_head(blobs(2), None, settings, 3, seed=0, progress=False)


def test_a_head_of_any_depth_in_its_inference_form_gives_the_same_logits() -> None:
    for hidden, layers in ((0, 1), (5, 1), (5, 3)):
        settings = dataclasses.replace(QUICK, hidden=hidden, layers=layers, epochs=2)
        head, _ = train_head(blobs(10), None, settings, 3, seed=0, progress=False)
        weights = HeadWeights.of(head)
        assert len(weights.layers) == settings.depth + 1
        asked = blobs(4, seed=3).views[0].astype(np.float32)
        np.testing.assert_allclose(
            weights.logits(asked), head.predict(asked, verbose=0), rtol=1e-4, atol=1e-4
        )


def test_settings_saved_before_depth_and_optimiser_could_be_chosen_read_as_they_were() -> None:
    saved = {
        name: value
        for name, value in dataclasses.asdict(QUICK).items()
        if name not in {"layers", "optimizer"}
    }
    assert HeadSettings(**saved) == QUICK
    assert (QUICK.depth, QUICK.optimizer) == (1, "adamw")
    assert dataclasses.replace(QUICK, hidden=0).depth == 0


def test_a_training_that_runs_away_is_ended_and_said() -> None:
    settings = dataclasses.replace(QUICK, optimizer="sgd", learning_rate=1e30)
    rows: list[dict[str, Any]] = []
    with pytest.raises(TrainingError, match=r"No epoch gave finite answers with sgd .*lower --learning-rate"):
        try_head(blobs(30), blobs(5), settings, 3, seed=0, progress=False, after_epoch=rows.append)
    assert len(rows) < settings.epochs
    assert math.isinf(rows[-1]["validation_loss"])


def test_what_is_told_after_an_epoch_can_end_the_training() -> None:
    class Enough(Exception):
        pass

    def stop(row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise Enough

    with pytest.raises(Enough):
        train_head(blobs(5), None, QUICK, 3, seed=0, progress=False, after_epoch=stop)


def test_the_validation_loss_does_not_depend_on_how_sure_the_logits_are() -> None:
    random = np.random.default_rng(0)
    classes = random.integers(4, size=200)
    logits = np.eye(4)[classes] * 2 + random.normal(size=(200, 4))
    sure, unsure = measure_logits(3 * logits, classes), measure_logits(logits / 3, classes)
    assert sure["validation_loss"] == pytest.approx(unsure["validation_loss"], rel=1e-6)
    assert sure["temperature"] == pytest.approx(9 * unsure["temperature"], rel=1e-6)
    assert sure["validation_top1"] == unsure["validation_top1"] <= sure["validation_top3"] < 1


def test_the_seed_gives_the_same_head() -> None:
    outcomes = []
    for seed in (5, 5, 6):
        head, history = train_head(blobs(10), None, QUICK, 3, seed=seed, stop_after=3, progress=False)
        assert len(history) == 3
        outcomes.append(head.predict(blobs(2).views[0].astype(np.float32), verbose=0))
    np.testing.assert_array_equal(outcomes[0], outcomes[1])
    assert not np.array_equal(outcomes[0], outcomes[2])


def test_early_stopping_ends_a_training_that_gets_worse() -> None:
    wrong = blobs(10, views=1)
    wrong = Features(wrong.views, (wrong.classes + 1) % 3)
    settings = dataclasses.replace(QUICK, epochs=40, patience=2)
    _, history = train_head(blobs(30), wrong, settings, 3, seed=0, progress=False)
    assert len(history) < 40


def test_class_weights_lie_between_pictures_and_classes() -> None:
    classes = np.array([0] * 9 + [1])
    np.testing.assert_allclose(class_weights(classes, 3, 0.0), [1, 1, 0])
    balanced = class_weights(classes, 3, 1.0)
    np.testing.assert_allclose(balanced, [10 / 18, 5, 0], rtol=1e-6)
    half = class_weights(classes, 2, 0.5)
    np.testing.assert_allclose(half[1] / half[0], 3, rtol=1e-6)
    np.testing.assert_allclose(half[classes].mean(), 1, rtol=1e-6)
