"""The inference form of a network: each batch normalisation folded into the layer before it.

Batch normalisation at inference is one multiplication and one addition per channel; both go into the kernel and bias
of the convolution or dense layer before (Jacob et al. 2018, "Quantization and training of neural networks for
efficient integer-arithmetic-only inference", section 3.2), which saves a pass over every feature map.
"""

from collections import Counter
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


def fold_convolutions(network: keras.Model) -> keras.Model:
    """Copy a functional model with batch normalisations folded into the convolutions before them.

    Folded are those after a `Conv2D` or `DepthwiseConv2D` without activation whose output goes nowhere else; others
    stay as they are, and so does the network given.

    Args:
        network: A functional model whose layers are each used once.

    Returns:
        A model that gives the same outputs, up to rounding, from fewer operations.
    """
    convolution_of = _foldable(network)
    norm_of = {convolution.name: norm for norm, convolution in convolution_of.values()}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in norm_of:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in convolution_of else layer(*args, **kwargs)

    folded = keras.models.clone_model(network, clone_function=clone, call_function=call)
    for layer in network.layers:
        weights = layer.get_weights()
        if layer.name in convolution_of or not weights:
            continue
        if layer.name in norm_of:
            weights = _with_norm(layer, norm_of[layer.name])
        folded.get_layer(layer.name).set_weights(weights)
    folded.trainable = False
    return folded


def _foldable(network: keras.Model) -> dict[str, tuple[Any, Any]]:
    """Find each batch normalisation to fold: (norm, convolution) by the norm's name."""
    produced_by = {}
    uses: Counter[int] = Counter(id(tensor) for tensor in network.outputs)
    for layer in network.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        uses.update(id(tensor) for tensor in inputs)
        produced_by[id(layer.output)] = layer
    found = {}
    for layer in network.layers:
        # The exact classes: a subclass may compute something else.
        if type(layer) is not keras.layers.BatchNormalization or layer.axis not in {-1, 3}:
            continue
        before = produced_by.get(id(layer.input))
        if (
            before is not None
            and type(before) in {keras.layers.Conv2D, keras.layers.DepthwiseConv2D}
            and before.activation is keras.activations.linear
            and uses[id(before.output)] == 1
        ):
            found[layer.name] = (layer, before)
    return found


def _with_norm(convolution: Any, norm: Any) -> list[NDArray[np.float32]]:
    kernel, *biases = convolution.get_weights()
    factor, offset = norm_as_affine(norm)
    if isinstance(convolution, keras.layers.DepthwiseConv2D):
        # A depthwise kernel is [rows, columns, channels, multiplier].
        kernel = kernel * factor.reshape(kernel.shape[2:])
    else:
        kernel = kernel * factor
    bias = biases[0] if biases else np.zeros_like(offset)
    return [kernel, bias * factor + offset]


def norm_as_affine(norm: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a batch normalisation does at inference: x times the first plus the second, float32 [channels]."""
    factor = 1.0 / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    if norm.scale:
        factor = factor * np.asarray(norm.gamma)
    offset = -np.asarray(norm.moving_mean) * factor
    if norm.center:
        offset = offset + np.asarray(norm.beta)
    return factor, offset


def fold_dense(
    kernel: NDArray[np.float32],
    bias: NDArray[np.float32],
    *,
    before: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
    after: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fold affine steps around a dense layer into it.

    Args:
        kernel: float32 [inputs, outputs].
        bias: float32 [outputs].
        before: Factor and offset, float32 [inputs], applied to the inputs.
        after: Factor and offset, float32 [outputs], applied to the outputs.

    Returns:
        The new kernel and bias.
    """
    if before is not None:
        factor, offset = before
        bias = bias + offset @ kernel
        kernel = factor[:, None] * kernel
    if after is not None:
        factor, offset = after
        kernel, bias = kernel * factor, bias * factor + offset
    return kernel, bias
