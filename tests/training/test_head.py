import numpy as np
import pytest

from training.head import Features, HeadSettings, class_weights, train_head, try_head

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


@pytest.mark.parametrize("hidden", [0, 16])
def test_a_head_learns_what_can_be_learnt(hidden: int) -> None:
    settings = HeadSettings(**{**QUICK_VALUES, "hidden": hidden})
    candidate = try_head(blobs(30), blobs(10, views=1, seed=1), settings, 3, seed=0, progress=False)
    assert candidate.top1 > 0.95
    assert candidate.top3 == 1.0
    assert 0 < candidate.loss < 1
    assert 1 <= candidate.epochs <= QUICK.epochs


QUICK_VALUES = {name: getattr(QUICK, name) for name in QUICK.__dataclass_fields__}


def test_the_seed_gives_the_same_head() -> None:
    outcomes = []
    for seed in (5, 5, 6):
        head, history = train_head(blobs(10), None, QUICK, 3, seed=seed, stop_after=3, progress=False)
        assert len(history["loss"]) == 3
        outcomes.append(head.predict(blobs(2).views[0].astype(np.float32), verbose=0))
    np.testing.assert_array_equal(outcomes[0], outcomes[1])
    assert not np.array_equal(outcomes[0], outcomes[2])


def test_early_stopping_ends_a_training_that_gets_worse() -> None:
    wrong = blobs(10, views=1)
    wrong = Features(wrong.views, (wrong.classes + 1) % 3)
    settings = HeadSettings(**{**QUICK_VALUES, "epochs": 40, "patience": 2})
    _, history = train_head(blobs(30), wrong, settings, 3, seed=0, progress=False)
    assert len(history["val_loss"]) < 40


def test_class_weights_lie_between_pictures_and_classes() -> None:
    classes = np.array([0] * 9 + [1])
    np.testing.assert_allclose(class_weights(classes, 3, 0.0), [1, 1, 0])
    balanced = class_weights(classes, 3, 1.0)
    np.testing.assert_allclose(balanced, [10 / 18, 5, 0], rtol=1e-6)
    half = class_weights(classes, 2, 0.5)
    np.testing.assert_allclose(half[1] / half[0], 3, rtol=1e-6)
    np.testing.assert_allclose(half[classes].mean(), 1, rtol=1e-6)
