"""Training under JAX, on one device and on two, against TensorFlow."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training import little
from tests.training.pictures import write_class_folders
from training.backbones import BackboneSettings, build_backbone, build_extractor
from training.command import main
from training.predicting import predict
from training.runs import read_run
from training.served import ExportedModel
from training.shipping import export_run

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.timeout(600),
]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with pictures, weights, a `head` and, fine-tuned from it, `tensorflow`."""
    place = tmp_path_factory.mktemp("backends")
    write_class_folders(place / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, little.NAME, little.build, raising=False)
        keras.utils.set_random_seed(1)
        first = BackboneSettings(little.NAME, "none", little.SIZE, little.SIZE)
        build_backbone(first).save_weights(place / "little.weights.h5")
        little.train_head(place, "head", "cache")
        assert main(little.finetune_arguments(place, "tensorflow")) == 0
        yield place


@pytest.fixture(scope="module")
def seen(place: Path) -> dict[str, Any]:
    """What the training under JAX, on two virtual devices and without TensorFlow, said of itself."""
    two = "--xla_force_host_platform_device_count=2"
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.without_tensorflow", "tests.training.little", str(place)],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "jax", "XLA_FLAGS": two, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {**json.loads(done.stdout.splitlines()[-1]), "errors": done.stderr}


def arrays(run: Path) -> dict[str, NDArray[Any]]:
    """The weights of a run, straight from its files."""
    found: dict[str, NDArray[Any]] = {}
    for name in ("head.npz", "backbone.npz"):
        if (run / name).is_file():
            with np.load(run / name) as file:
                found |= {f"{name}/{key}": file[key] for key in file.files}
    return found


def furthest(first: Path, second: Path) -> float:
    """The largest difference between the weights of two runs."""
    one, other = arrays(first), arrays(second)
    assert one.keys() == other.keys()
    return max(float(np.abs(one[key] - other[key]).max()) for key in one)


def test_tensorflow_is_not_needed(seen: dict[str, Any]) -> None:
    assert seen["statuses"][:2] == [0, 0]
    assert not seen["tensorflow"]


def test_each_device_gets_its_share_of_each_batch(seen: dict[str, Any]) -> None:
    assert seen["devices"] == ["cpu:0", "cpu:1"]
    assert seen["parts_of_one"] == []
    assert seen["parts_of_two"] == [[0, little.BATCH // 2], [1, little.BATCH // 2]]


@pytest.mark.parametrize(("one", "two"), [("one", "two"), ("head-one", "head-two")])
def test_two_devices_give_what_one_gives(place: Path, seen: dict[str, Any], one: str, two: str) -> None:
    assert furthest(place / one, place / two) < 1e-4
    assert (place / one / "split.csv").read_bytes() == (place / two / "split.csv").read_bytes()


def test_fine_tuning_gives_what_it_gives_with_tensorflow(place: Path, seen: dict[str, Any]) -> None:
    assert seen["statuses"][0] == 0
    assert furthest(place / "one", place / "tensorflow") < 1e-3
    first, tuned = arrays(place / "head"), arrays(place / "one")
    assert max(np.abs(first[key] - tuned[key]).max() for key in first) > 3e-3, "it went somewhere"
    for run, backend in (("one", "jax"), ("tensorflow", "tensorflow")):
        assert backend in json.loads((place / run / "run.json").read_text())["code"]


def test_what_the_devices_cannot_do_is_said(seen: dict[str, Any]) -> None:
    assert seen["statuses"][2] == 1
    assert "--devices 3: there are only 2 (cpu:0, cpu:1)" in seen["errors"]


def test_a_run_of_jax_is_exported_with_tensorflow(place: Path, seen: dict[str, Any]) -> None:
    assert seen["statuses"][0] == 0
    version = export_run(place / "one", place / "data", place / "models" / "m")
    run = read_run(place / "one")
    pixels = np.random.default_rng(0).integers(0, 256, (5, little.SIZE, little.SIZE, 3), np.uint8)
    extractor = build_extractor(run.settings.backbone, run.backbone, run.settings.pooling)
    logits = run.head.logits(predict(extractor, pixels, batch=5)) / run.record["temperature"]
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = np.sort(expected / expected.sum(axis=1, keepdims=True))[:, ::-1]
    np.testing.assert_allclose(ExportedModel(version).answer(pixels)["probabilities"], expected, atol=1e-5)
