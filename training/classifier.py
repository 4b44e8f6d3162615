"""The whole classifier in its inference form: pixels in, class probabilities out."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from training.arrays import read_arrays, write_arrays
from training.backbones import BackboneSettings, pool, scaling_of
from training.errors import TrainingError
from training.folding import fold_convolutions, fold_dense, norm_as_affine
from training.head_set import HeadSet

_Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class HeadWeights:
    """A trained head in its inference form: dense layers alone, with a ReLU between them.

    Attributes:
        layers: Kernel, float32 [inputs, outputs], and bias, float32 [outputs], of each dense layer.
    """

    layers: tuple[_Layer, ...]

    @classmethod
    def of(cls, head: keras.Model) -> "HeadWeights":
        """Take the weights out of a head from `head.build_head`, with its normalisations folded in."""
        standardise = head.get_layer("standardise")
        spread = 1.0 / np.maximum(np.sqrt(np.asarray(standardise.variance).ravel()), keras.backend.epsilon())
        before = (spread, -np.asarray(standardise.mean).ravel() * spread)
        last = tuple(head.get_layer("logits").get_weights())
        norms = [layer for layer in head.layers if isinstance(layer, keras.layers.BatchNormalization)]
        if not norms:
            return cls((fold_dense(*last, before=before),))
        hidden: list[_Layer] = []
        for number, norm in enumerate(norms):
            (kernel,) = head.get_layer(f"hidden_{number}").get_weights()
            none = np.zeros(kernel.shape[1], np.float32)
            first = before if number == 0 else None
            hidden.append(fold_dense(kernel, none, before=first, after=norm_as_affine(norm)))
        return cls((*hidden, last))

    def save(self, path: Path) -> None:
        """Write the weights to an .npz file."""
        arrays = {}
        for number, (kernel, bias) in enumerate(self.layers):
            arrays[f"kernel_{number}"], arrays[f"bias_{number}"] = kernel, bias
        write_arrays(path, arrays)

    @classmethod
    def load(cls, path: Path) -> "HeadWeights":
        """Read weights that `save` wrote.

        Raises:
            TrainingError: No such file, or another kind of file.
        """
        try:
            arrays = read_arrays(path)
            return cls(tuple((arrays[f"kernel_{n}"], arrays[f"bias_{n}"]) for n in range(len(arrays) // 2)))
        except (OSError, KeyError, ValueError) as error:
            raise TrainingError(
                f"{path} holds no trained head: {error}. Run the same command again; it goes on from what is done."
            ) from error

    def with_temperature(self, temperature: float | NDArray[np.float32]) -> "HeadWeights":
        """The same head with its logits divided by a temperature (Guo et al. 2017), folded into the last layer.

        Args:
            temperature: One for all logits, or one for each, float32 [outputs].
        """
        kernel, bias = self.layers[-1]
        return HeadWeights((*self.layers[:-1], (kernel / temperature, bias / temperature)))

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Apply the head to features, float32 [batch, features]; gives logits, float32 [batch, classes]."""
        kernel, bias = self.layers[-1]
        return self.hidden(features) @ kernel + bias

    def hidden(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the last layer gets, float32 [..., units], of features, float32 [..., features]."""
        x = features
        for kernel, bias in self.layers[:-1]:
            x = np.maximum(x @ kernel + bias, 0.0)
        return x

    def with_more(self, outputs: int) -> "HeadWeights":
        """The same head with further outputs behind its own, whose logits are all zero as yet."""
        kernel, bias = self.layers[-1]
        wider = np.pad(kernel, ((0, 0), (0, outputs))), np.pad(bias, (0, outputs))
        return HeadWeights((*self.layers[:-1], wider))


def build_classifier(
    settings: BackboneSettings,
    backbone: keras.Model,
    pooling: str,
    head: HeadWeights,
    heads: HeadSet | None = None,
) -> keras.Model:
    """Join scaling, the folded backbone, pooling and head.

    Args:
        settings: The backbone's settings.
        backbone: From `build_backbone`.
        pooling: How the head's features were pooled.
        head: The trained head.
        heads: The heads whose logits the last layer gives; by default one.

    Returns:
        A model without training state, from pixels, 0 to 255, float32 [batch, height, width, 3], to the pooled
        features, float32 [batch, n], named `features`, and the probabilities of all heads side by side, float32
        [batch, classes], named `probabilities`.
    """
    pixels = keras.Input((settings.height, settings.width, 3), name="pixels")
    features = pool(fold_convolutions(backbone)(scaling_of(settings.name)(pixels)), pooling)
    x = features
    for number, (kernel, _) in enumerate(head.layers[:-1]):
        x = keras.layers.Dense(kernel.shape[1], activation="relu", name=f"hidden_{number}")(x)
    logits = keras.layers.Dense(head.layers[-1][0].shape[1], name="logits")(x)
    if heads is None or len(heads.heads) == 1:
        parts = [keras.layers.Softmax()(logits)]
    else:
        parts = [keras.layers.Softmax()(logits[:, part]) for part in heads.slices.values()]
    probabilities = parts[0] if len(parts) == 1 else keras.layers.Concatenate()(parts)
    model = keras.Model(pixels, {"features": features, "probabilities": probabilities}, name="classifier")
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    for layer, weights in zip(dense, head.layers, strict=True):
        layer.set_weights(list(weights))
    model.trainable = False
    return model
