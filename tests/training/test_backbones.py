from pathlib import Path

import keras
import numpy as np
import pytest

from training.backbones import BackboneSettings, build_backbone, fingerprint_of, scaling_of
from training.errors import WeightsError

SMALL = {"alpha": 0.35}

# Keras 3.15 reads TensorFlow 2.21's variables in a way that NumPy 2 calls outdated.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def small(weights: str = "none", height: int = 32) -> BackboneSettings:
    return BackboneSettings(weights=weights, height=height, width=32, options=SMALL)


def test_weights_come_from_a_file_and_decide_the_fingerprint(tmp_path: Path) -> None:
    first = build_backbone(small())
    file = tmp_path / "small.weights.h5"
    first.save_weights(file)
    again = build_backbone(small(str(file)))
    assert not again.trainable_weights
    assert fingerprint_of(small(str(file)), again) == fingerprint_of(small(), first)
    assert fingerprint_of(small(height=64), first) != fingerprint_of(small(), first)
    assert fingerprint_of(small(), build_backbone(small())) != fingerprint_of(small(), first)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Dense(3)(inputs)).save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(WeightsError, match="does not hold weights for MobileNetV2"):
        build_backbone(small(str(tmp_path / "other.weights.h5")))
    (tmp_path / "text.weights.h5").write_text("no weights")
    with pytest.raises(WeightsError, match="does not hold weights"):
        build_backbone(small(str(tmp_path / "text.weights.h5")))


def test_a_missing_file_or_backbone_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights file"):
        build_backbone(small(str(tmp_path / "none.h5")))
    with pytest.raises(WeightsError, match="no backbone 'MobileNet9'"):
        build_backbone(BackboneSettings("MobileNet9"))
    with pytest.raises(WeightsError, match="cannot be built at 8x8"):
        build_backbone(BackboneSettings(weights="none", height=8, width=8))


def test_a_download_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise Exception("URL fetch failure")  # noqa: TRY002, as keras.utils.get_file does

    monkeypatch.setattr(keras.applications, "MobileNetV2", fail)
    with pytest.raises(WeightsError, match="--backbone-weights"):
        build_backbone(BackboneSettings())


@pytest.mark.parametrize(
    ("name", "black", "white"),
    [("MobileNetV2", -1.0, 1.0), ("EfficientNetV2B0", 0.0, 255.0), ("VGG16", -103.939, 255 - 103.939)],
)
def test_each_backbone_has_its_own_scaling(name: str, black: float, white: float) -> None:
    scale = scaling_of(name)
    pixels = keras.ops.convert_to_tensor(
        np.array([0.0, 255.0], np.float32).reshape(1, 1, 2, 1).repeat(3, axis=3)
    )
    scaled = np.asarray(scale(pixels))
    np.testing.assert_allclose([scaled[0, 0, 0, 0], scaled[0, 0, 1, 0]], [black, white], rtol=1e-5)
