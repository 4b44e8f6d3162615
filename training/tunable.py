"""The network that is fine-tuned, and its twin that is measured."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.backbones import build_backbone, pool, scaling_of
from training.classifier import HeadWeights, build_classifier
from training.errors import TrainingError
from training.finetune_settings import FinetuneSettings
from training.folding import fold_convolutions
from training.head_set import HeadSet
from training.predicting import predict
from training.runs import FinishedRun


@dataclass(frozen=True, slots=True)
class Tunable:
    """A classifier in training.

    Attributes:
        network: From pixels, 0 to 255, float32 [batch, height, width, 3] at the size of training, to logits, float32
            [batch, columns].
        backbone: The network's backbone.
        twin: From `classifier.build_classifier`, at the size of the model's input, without training state, all in
            float32; takes `network`'s weights.
        heads: The heads whose logits the columns are.
        fresh: How many of the last columns belong to heads that start untrained.
    """

    network: keras.Model
    backbone: keras.Model
    twin: keras.Model
    heads: HeadSet
    fresh: int = 0

    def seeds(self) -> list[Any]:
        """The variables that hold the state of dropout."""
        return [variable for variable in self.network.variables if "seed_generator_state" in variable.path]


def build_tunable(run: FinishedRun, settings: FinetuneSettings, more: HeadSet | None = None) -> Tunable:
    """Build the network to fine-tune, with the weights that a run ended with.

    The batch normalisations that could be folded into convolutions are gone; any others keep their statistics and are
    not trained, since small batches of augmented pictures would only blur what ImageNet taught them.

    Args:
        run: Read at the size of the model's input.
        settings: How.
        more: Heads to add to the run's; their logits are all zero as yet.

    Returns:
        The network, all variables built.

    Raises:
        TrainingError: No layer has the name to unfreeze from.
    """
    heads = HeadSet.from_record(run.record)
    fresh = more.columns if more else 0
    if more:
        heads = HeadSet((*heads.heads, *more.heads))
        run = dataclasses.replace(run, head=run.head.with_more(fresh))
    height, width = settings.trained_size()
    backbone = with_precision(_at_size(run, height, width), settings.precision)
    _unfreeze(backbone, settings.unfreeze)
    pixels = keras.Input((height, width, 3), name="pixels")
    features = backbone(scaling_of(run.settings.backbone.name)(pixels))
    # From pooling on float32, Keras' own default: the sums and the loss want its digits, and cost nothing.
    x = pool(features, run.settings.pooling)
    last = len(run.head.layers) - 1
    for number, (kernel, _) in enumerate(run.head.layers):
        x = keras.layers.Dropout(
            settings.dropout, seed=settings.seed + number, dtype="float32", name=f"dropout_{number}"
        )(x)
        x = keras.layers.Dense(
            kernel.shape[1],
            activation=None if number == last else "relu",
            dtype="float32",
            name="logits" if number == last else f"hidden_{number}",
        )(x)
    network = keras.Model(pixels, x, name="tunable")
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    for layer, weights in zip(dense, run.head.layers, strict=True):
        layer.set_weights(list(weights))
    twin = build_classifier(run.settings.backbone, run.backbone, run.settings.pooling, run.head, heads)
    return Tunable(network, backbone, twin, heads, fresh)


def _at_size(run: FinishedRun, height: int, width: int) -> keras.Model:
    """The run's backbone for inputs of some size; convolutions have the same weights at every size."""
    settings = dataclasses.replace(run.settings.backbone, weights="none", height=height, width=width)
    backbone = fold_convolutions(build_backbone(settings))
    backbone.set_weights(run.backbone.get_weights())
    return backbone


def with_precision(network: keras.Model, precision: str) -> keras.Model:
    """Copy a functional model with another dtype policy; the weights stay float32.

    Args:
        network: The model.
        precision: One of `finetune_settings.PRECISIONS`.

    Returns:
        The copy, with the same weights.
    """

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        # On a CPU, TensorFlow's gradient of a depthwise convolution that is strided, or larger than 3 x 3, takes many
        # times longer in bfloat16.
        slow = isinstance(layer, keras.layers.DepthwiseConv2D) and (
            max(layer.strides) > 1 or max(layer.kernel_size) > 3
        )
        config["dtype"] = "float32" if slow else precision
        return type(layer).from_config(config)

    copy = keras.models.clone_model(network, clone_function=clone)
    copy.set_weights(network.get_weights())
    return copy


def first_trained(backbone: keras.Model, first: str) -> int:
    """Find the layer to unfreeze from, by the start of its name.

    Raises:
        TrainingError: No layer's name begins so.
    """
    names = [layer.name for layer in backbone.layers]
    start = next((place for place, name in enumerate(names) if name.startswith(first)), None)
    if start is None:
        raise TrainingError(
            f"The backbone has no layer {first!r} to unfreeze from; it has {', '.join(names)}."
        )
    return start


def _unfreeze(backbone: keras.Model, first: str) -> None:
    start = first_trained(backbone, first)
    backbone.trainable = True
    for place, layer in enumerate(backbone.layers):
        layer.trainable = place >= start and not isinstance(layer, keras.layers.BatchNormalization)


def backbone_and_head(twin: keras.Model) -> tuple[keras.Model, HeadWeights]:
    """Take a twin apart: its backbone, and the weights of its head."""
    (backbone,) = (layer for layer in twin.layers if isinstance(layer, keras.Model))
    dense = [layer for layer in twin.layers if isinstance(layer, keras.layers.Dense)]
    return backbone, HeadWeights(
        tuple((kernel, bias) for kernel, bias in (one.get_weights() for one in dense))
    )


def probabilities_of(twin: keras.Model, pixels: NDArray[np.uint8], *, batch: int = 64) -> NDArray[np.float32]:
    """Ask a twin.

    Args:
        twin: The twin.
        pixels: uint8 [pictures, height, width, 3].
        batch: Pictures at a time.

    Returns:
        float32 [pictures, columns].
    """
    return predict(twin, pixels, batch=batch, output="probabilities")
