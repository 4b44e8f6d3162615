import keras
import numpy as np
import pytest

from training.backbones import BackboneSettings, build_backbone, build_extractor
from training.classifier import HeadWeights, build_classifier
from training.folding import fold_convolutions
from training.head import HeadSettings, build_head


def shake_norms(network: keras.Model) -> None:
    """Give every batch normalisation statistics and weights as after training."""
    random = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, weights.shape) for weights in layer.get_weights()])


def norms(network: keras.Model) -> int:
    return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)


def test_a_folded_backbone_gives_the_same_features() -> None:
    backbone = build_backbone(BackboneSettings(weights="none", height=64, width=32, options={"alpha": 0.35}))
    shake_norms(backbone)
    folded = fold_convolutions(backbone)
    assert norms(backbone) == 52
    assert norms(folded) == 0
    pixels = np.random.default_rng(1).uniform(-1, 1, (2, 64, 32, 3)).astype(np.float32)
    expected = backbone.predict(pixels, verbose=0)
    assert expected.max() > 0
    np.testing.assert_allclose(folded.predict(pixels, verbose=0), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("MobileNet", 0),
        ("MobileNetV3Small", 0),
        ("EfficientNetV2B0", 0),
        # What comes before a convolution, and what follows a separable one, is not folded.
        ("DenseNet121", 62),
        ("NASNetMobile", 164),
    ],
)
def test_backbones_of_every_family_at_an_odd_size(name: str, left: int) -> None:
    settings = BackboneSettings(name, weights="none", height=75, width=49)
    backbone = build_backbone(settings)
    shake_norms(backbone)
    folded = fold_convolutions(backbone)
    assert norms(folded) == left < norms(backbone)
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 75, 49, 3)).astype(np.float32)
    # Called as they are, since to compile networks of so many layers takes far longer than to ask them once.
    expected = np.asarray(build_extractor(settings, backbone)(pixels, training=False))
    features = np.asarray(build_extractor(settings, folded)(pixels, training=False))
    assert features.shape == (2, 2 * backbone.output_shape[-1])
    assert expected.std() > 0
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_what_cannot_be_folded_stays() -> None:
    inputs = keras.Input((8, 8, 3))
    activated = keras.layers.Conv2D(4, 3, activation="relu", name="activated")(inputs)
    used_twice = keras.layers.Conv2D(4, 3, name="used_twice")(inputs)
    kept = [keras.layers.BatchNormalization()(one) for one in (activated, used_twice, inputs)]
    biased = keras.layers.Conv2D(4, 3, name="biased")(inputs)
    folded_away = keras.layers.BatchNormalization(scale=False, center=False)(biased)
    network = keras.Model(inputs, [*kept, used_twice, folded_away])
    shake_norms(network)
    network.get_layer("biased").set_weights([w + 0.5 for w in network.get_layer("biased").get_weights()])
    folded = fold_convolutions(network)
    assert norms(folded) == 3
    pixels = np.random.default_rng(1).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    for one, other in zip(network.predict(pixels, verbose=0), folded.predict(pixels, verbose=0), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)


def test_the_classifier_is_backbone_pooling_and_head_joined() -> None:
    settings = BackboneSettings(weights="none", height=32, width=32, options={"alpha": 0.35})
    backbone = build_backbone(settings)
    pixels = np.random.default_rng(2).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    for hidden, pooling in ((8, "avg+max"), (0, "max")):
        extractor = build_extractor(settings, backbone, pooling)
        features = extractor.predict(pixels, verbose=0)
        random = np.random.default_rng(3)
        mean, variance = random.uniform(0.1, 1, (2, features.shape[1])).astype(np.float32)
        head = build_head(HeadSettings(hidden=hidden), 5, mean, variance)
        shake_norms(head)
        logits = head.predict(features, verbose=0)
        weights = HeadWeights.of(head)
        np.testing.assert_allclose(weights.logits(features), logits, rtol=1e-3, atol=1e-4)
        classifier = build_classifier(settings, backbone, pooling, weights)
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        answers = classifier.predict(pixels, verbose=0)
        np.testing.assert_allclose(answers["probabilities"], expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(answers["features"], features, rtol=1e-3, atol=1e-4)
