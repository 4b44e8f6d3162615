"""A little network in place of those of keras.applications, and what tests train with it, in whatever backend.

Run as a program, `python -m tests.training.little PLACE`, it trains under the backend of its environment what a test
then compares, and prints what it saw as JSON.
"""

import argparse
import json
import resource
import sys
from pathlib import Path
from typing import Any

import keras

from training.backbones import BackboneSettings
from training.data import read_class_folders
from training.distribution import devices_of
from training.head import HeadSettings
from training.pipeline import prepare, train
from training.settings import TrainSettings

NAME = "Little"
SIZE = 32
BATCH = 8


def build(*, include_top: bool, weights: None, input_shape: tuple[int, int, int]) -> keras.Model:
    """As a function of keras.applications: a convolution, a depthwise one and a narrow one, each normalised."""
    assert not include_top
    assert weights is None
    inputs = keras.Input(input_shape)
    x = inputs
    for layer in (
        keras.layers.Conv2D(8, 3, 2, padding="same", use_bias=False, name="stem"),
        keras.layers.DepthwiseConv2D(3, 2, padding="same", use_bias=False, name="block_depthwise"),
        keras.layers.Conv2D(16, 1, use_bias=False, name="block_project"),
    ):
        x = keras.layers.BatchNormalization(name=f"{layer.name}_norm")(layer(x))
        x = keras.layers.ReLU(6.0, name=f"{layer.name}_relu")(x)
    return keras.Model(inputs, x, name="little")


def preprocess_input(pixels: Any) -> Any:
    """As in the modules of keras.applications."""
    return pixels / 127.5 - 1.0


def head_settings(place: Path) -> TrainSettings:
    """Settings that train a head whose run has not seen the validation part."""
    return TrainSettings(
        backbone=BackboneSettings(NAME, str(place / "little.weights.h5"), SIZE, SIZE),
        crops=0,
        heads=(HeadSettings(hidden=8, epochs=3, batch=BATCH, learning_rate=3e-2, mixup=0.2),),
        validation=0.2,
        test=0.2,
        cosine=1.1,
        final_on_validation=False,
    )


def train_head(place: Path, run: str, cache: str) -> None:
    settings = head_settings(place)
    prepared = prepare(read_class_folders(place / "data"), settings, place / cache)
    train(prepared, settings, place / run, progress=False)


def finetune_arguments(place: Path, run: str, *more: str) -> list[str]:
    """Arguments of the command, from the run in the folder `head` on.

    Without dropout, whose chance is the backend's own: all else is drawn alike in every backend.
    """
    options = {
        "--start": place / "head",
        "--data": place / "data",
        "--cache": place / "cache",
        "--run": place / run,
        "--backbone-weights": place / "little.weights.h5",
        "--size": SIZE,
        "--room": 1.25,
        "--epochs": 2,
        "--batch": BATCH,
        "--learning-rate": 3e-3,
        "--backbone-rate": 0.3,
        "--averaging": 0.8,
        "--operations": 1,
        "--dropout": 0,
        "--unfreeze": "block",
    }
    return ["finetune", *(str(part) for pair in options.items() for part in pair), *more]


class _Seen:
    """Watches how Keras lays batches over devices."""

    def __init__(self) -> None:
        import jax

        self.parts: set[tuple[int, int]] = set()
        self._make: Any = jax.make_array_from_process_local_data
        jax.make_array_from_process_local_data = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        array = self._make(*args, **kwargs)
        self.parts |= {(shard.device.id, len(shard.data)) for shard in array.addressable_shards}
        return array


def main(place: Path) -> dict[str, Any]:
    from training.command import main as command

    seen = _Seen()
    facts: dict[str, Any] = {"devices": keras.distribution.list_devices()}
    two = argparse.Namespace(devices="2")
    statuses = [command(finetune_arguments(place, "one"))]
    facts["parts_of_one"] = sorted(seen.parts)
    statuses.append(command(finetune_arguments(place, "two", "--devices", "2")))
    facts["parts_of_two"] = sorted(seen.parts)
    statuses.append(command(finetune_arguments(place, "three", "--devices", "3")))
    train_head(place, "head-one", "cache-one")
    with devices_of(two):
        train_head(place, "head-two", "cache-two")
    facts["statuses"] = statuses
    facts["tensorflow"] = "tensorflow" in sys.modules
    facts["seconds"] = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    return facts


if __name__ == "__main__":
    setattr(keras.applications, NAME, build)
    print(json.dumps(main(Path(sys.argv[1]))))
