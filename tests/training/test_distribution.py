import argparse
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from training import distribution
from training.augment import AugmentSettings, augment
from training.batches import AugmentedBatches
from training.command import main
from training.distribution import add_options, check_batch, devices_of, folder_of_first, is_first, own_part
from training.errors import TrainingError
from training.feature_batches import FeatureBatches, Features
from training.finetune_settings import FinetuneSettings
from training.head_set import Head, HeadSet
from training.mixing import MixSettings


def pretend(patch: pytest.MonkeyPatch, *, devices: int, processes: int = 1, process: int = 0) -> None:
    """As if Keras spread batches."""
    spread = types.SimpleNamespace(num_model_replicas=devices, num_processes=processes, data_shard_id=process)
    patch.setattr(keras.distribution, "distribution", lambda: spread)


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser, machines=True)
    return parser.parse_args(arguments)


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """As if the backend were JAX with two devices; tells what was asked of Keras."""
    asked: dict[str, Any] = {"set": []}
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["cpu:0", "cpu:1"])
    monkeypatch.setattr(keras.distribution, "DataParallel", lambda **given: given)
    monkeypatch.setattr(keras.distribution, "set_distribution", asked["set"].append)
    monkeypatch.setattr(keras.distribution, "initialize", lambda *given: asked.update(joined=given))
    return asked


def test_nothing_is_spread_where_nothing_is_asked() -> None:
    for given in (options(), argparse.Namespace(), options("--processes", "1")):
        with devices_of(given):
            assert keras.distribution.distribution() is None
            assert is_first()
            assert own_part(7) == slice(0, 7)
            check_batch(7)


def test_a_backend_that_cannot_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [f"--{name}={tmp_path / name}" for name in ("start", "data", "cache", "run")]
    assert main(["finetune", *paths, "--devices", "2"]) == 1
    error = capsys.readouterr().err
    assert (
        "with JAX alone, not with tensorflow: install jax and set the environment variable KERAS_BAC" in error
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("asked", "used"), [("all", 2), ("2", 2), ("1", 1)])
def test_the_devices_asked_for_are_used_and_let_go(
    two_devices: dict[str, Any], asked: str, used: int
) -> None:
    with devices_of(options("--devices", asked)):
        (given,) = two_devices["set"]
        assert given == {"devices": ["cpu:0", "cpu:1"][:used], "auto_shard_dataset": False}
    assert two_devices["set"][-1] is None
    assert "joined" not in two_devices


@pytest.mark.usefixtures("two_devices")
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--devices", "3"], r"--devices 3: there are only 2 \(cpu:0, cpu:1\)"),
        (["--devices", "0"], "--devices 0: give a number from 1, or 'all'"),
        (["--devices", "many"], "--devices many: give a number from 1, or 'all'"),
        (["--processes", "2", "--process", "0"], "each one needs --coordinator and --process"),
        (["--processes", "2", "--coordinator", "a:1"], "each one needs --coordinator and --process"),
        (["--processes", "2", "--coordinator", "a:1", "--process", "2"], "counted from 0 to 1"),
    ],
)
def test_what_cannot_be_is_said(asked: list[str], said: str) -> None:
    with pytest.raises(TrainingError, match=said), devices_of(options(*asked)):
        pass


def test_processes_find_each_other_by_options_or_environment(
    two_devices: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with devices_of(options("--processes", "2", "--coordinator", "a:1", "--process", "1")):
        assert two_devices["joined"] == ("a:1", 2, 1)
    monkeypatch.setenv("KERAS_DISTRIBUTION_JOB_ADDRESSES", "b:2")
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "3")
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "0")
    with devices_of(options()):
        assert two_devices["joined"] == ("b:2", 3, 0)
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "three")
    with pytest.raises(TrainingError, match="NUM_PROCESSES is 'three'"), devices_of(options()):
        pass
    # A command that cannot run on several machines does not look at what a launcher says.
    with devices_of(argparse.Namespace(devices=None)):
        pass


def test_processes_that_do_not_meet_say_so(
    two_devices: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("DEADLINE_EXCEEDED")

    monkeypatch.setattr(keras.distribution, "initialize", fail)
    given = options("--processes", "2", "--coordinator", "a:1", "--process", "1")
    with pytest.raises(TrainingError, match="Process 1 of 2 cannot join at a:1: DEADLINE"), devices_of(given):
        pass
    assert two_devices["set"] == []


def test_only_the_first_process_writes_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with folder_of_first(tmp_path) as folder:
        assert folder == tmp_path
    pretend(monkeypatch, devices=2, processes=2, process=1)
    with folder_of_first(tmp_path) as folder:
        assert folder != tmp_path
        assert folder.is_dir()
    assert not folder.exists()


SETTINGS = FinetuneSettings(
    height=8, width=8, batch=8, augmentation=AugmentSettings(operations=1), mixing=MixSettings(probability=1)
)
PICTURES = np.random.default_rng(0).integers(0, 256, (21, 12, 12, 3), np.uint8)
HEADS = HeadSet((Head("sport", ("1", "2", "3"), ("a", "b", "c")),))


def augmented(
    pictures: int = len(PICTURES), settings: FinetuneSettings = SETTINGS
) -> list[Sequence[NDArray[Any]]]:
    classes = np.arange(pictures)[:, None] % 3
    weights = [np.ones(3, np.float32)]
    batches = AugmentedBatches(PICTURES, np.arange(pictures), classes, HEADS, weights, settings, epoch=3)
    return [batches[index] for index in range(len(batches))]


@pytest.mark.parametrize("mixing", [MixSettings(probability=1), MixSettings(probability=0)])
def test_the_parts_of_all_processes_are_the_batch_of_one(
    monkeypatch: pytest.MonkeyPatch, mixing: MixSettings
) -> None:
    settings = FinetuneSettings(
        height=8, width=8, batch=8, augmentation=AugmentSettings(operations=1), mixing=mixing
    )
    whole = augmented(settings=settings)
    made = 0

    def count(*given: Any, **more: Any) -> Any:
        nonlocal made
        made += 1
        return augment(*given, **more)

    monkeypatch.setattr("training.batches.augment", count)
    parts = []
    for process in range(4):
        pretend(monkeypatch, devices=8, processes=4, process=process)
        parts.append(augmented(settings=settings))
    assert len(whole) == len(parts[0]) == 2
    for index, batch in enumerate(whole):
        for position, array in enumerate(batch):
            joined = np.concatenate([part[index][position] for part in parts])
            np.testing.assert_array_equal(joined, array)
    # No process makes more than its own pictures and their partners.
    assert made <= 2 * 2 * 8 if mixing.probability else made == 2 * 8


def test_less_than_one_batch_is_shared_as_far_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, devices=4)
    ((pixels, targets),) = augmented(7)
    assert len(pixels) == len(targets) == 4
    features = Features(np.ones((1, 7, 5), np.float16), np.arange(7) % 2)
    for mixup in (0.0, 0.4):
        batches = FeatureBatches(features, 2, batch=8, mixup=mixup, balance=0, seed=0)
        assert [len(part) for part in batches[0]] == [4, 4, 4]


def test_a_batch_that_cannot_be_shared_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, devices=3)
    with pytest.raises(TrainingError, match="A batch of 8 cannot be shared by 3 devices equally"):
        augmented()
    features = Features(np.ones((1, 9, 5), np.float16), np.arange(9) % 2)
    with pytest.raises(TrainingError, match="A batch of 4 cannot"):
        FeatureBatches(features, 2, batch=4, mixup=0, balance=0, seed=0)


def test_one_process_alone_tells_itself_what_it_knows() -> None:
    assert distribution.from_first(b"known") == b"known"
    with distribution.first_goes_first():
        pass
