import dataclasses
import json
import shutil
import types
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from preprocessing import decode_picture
from tests.training.pictures import write_class_folders
from training import passes
from training.augment import AugmentSettings
from training.backbones import BackboneSettings, build_backbone
from training.calibration import softmax
from training.checkpoint import Checkpoint, Progress
from training.command import main
from training.data import read_class_folders
from training.errors import DataError, TrainingError
from training.finetune import finetune
from training.finetune_settings import PRECISIONS, FinetuneSettings
from training.head import HeadSettings, RanAwayError
from training.pipeline import prepare, train
from training.runs import read_run
from training.served import ExportedModel
from training.settings import TrainSettings
from training.shipping import export_run
from training.split_file import read_split
from training.tensorboard import FOLDER, read_scalars
from training.tunable import _unfreeze, build_tunable

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

SIZE = 32
SETTINGS = FinetuneSettings(
    height=SIZE,
    width=SIZE,
    room=1.25,
    epochs=2,
    batch=8,
    learning_rate=3e-3,
    backbone_rate=0.3,
    unfreeze="conv_dw_13",
    averaging=0.8,
    augmentation=AugmentSettings(operations=1),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data`, `head` (a run whose head never saw the validation part) and a backbone's weights."""
    place = tmp_path_factory.mktemp("finetuning")
    write_class_folders(place / "data")
    small = BackboneSettings("MobileNet", weights="none", height=SIZE, width=SIZE, options={"alpha": 0.25})
    keras.utils.set_random_seed(1)
    build_backbone(small).save_weights(place / "small.weights.h5")
    settings = TrainSettings(
        backbone=BackboneSettings(
            "MobileNet",
            weights=str(place / "small.weights.h5"),
            height=SIZE,
            width=SIZE,
            options={"alpha": 0.25},
        ),
        crops=0,
        heads=(HeadSettings(hidden=8, epochs=4, batch=8, learning_rate=3e-2, mixup=0),),
        validation=0.2,
        test=0.2,
        cosine=1.1,
        final_on_validation=False,
    )
    prepared = prepare(read_class_folders(place / "data"), settings, place / "cache")
    train(prepared, settings, place / "head", progress=False)
    return place


def tune(place: Path, run: str, settings: FinetuneSettings = SETTINGS, **more: Any) -> dict[str, Any]:
    return finetune(
        place / str(more.pop("start", "head")),
        place / "data",
        place / "cache",
        place / run,
        settings,
        weights=str(place / "small.weights.h5"),
        progress=False,
        **more,
    )


@pytest.fixture(scope="module")
def tuned(place: Path) -> Path:
    tune(place, "tuned")
    return place / "tuned"


def weights_of(run: Path) -> list[NDArray[Any]]:
    finished = read_run(run)
    return [*finished.backbone.get_weights(), *(array for layer in finished.head.layers for array in layer)]


def assert_same_result(first: Path, second: Path) -> None:
    for one, other in zip(weights_of(first), weights_of(second), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_run_tells_what_was_done(place: Path, tuned: Path) -> None:
    record = json.loads((tuned / "run.json").read_text())
    before = json.loads((place / "head" / "run.json").read_text())
    assert record["trained_on"] == before["trained_on"]
    assert record["classes"] == before["classes"]
    (stage,) = record["finetuning"]
    assert stage["started_from"] == "head"
    assert stage["settings"] == SETTINGS.as_json()
    history = json.loads((tuned / "history.json").read_text())
    assert [row["epoch"] for row in history] == [0, 1, 2]
    assert stage["before"] == history[0]
    losses = [row["validation_loss"] for row in history[1:]]
    assert stage["best_epoch"] == 1 + int(np.argmin(losses))
    assert record["temperature"] == history[stage["best_epoch"]]["temperature"]
    assert (tuned / "split.csv").read_text() == (place / "head" / "split.csv").read_text()
    assert str(place) not in json.dumps(record)
    curves = read_scalars(tuned / FOLDER)
    assert [step for step, _ in curves["loss/validation"]] == [1, 2]
    assert [value for _, value in curves["loss/validation"]] == pytest.approx(losses)


def test_the_loss_is_that_of_the_kept_weights_at_their_temperature(place: Path, tuned: Path) -> None:
    finished = read_run(tuned)
    twin = build_tunable(finished, SETTINGS).twin
    pictures = read_split(tuned / "split.csv", place / "data", "validation")
    pixels = np.stack(
        [decode_picture(one.path.read_bytes(), height=SIZE, width=SIZE) for one in pictures]
    ).astype(np.float32)
    names = [row["name"].lower() for row in finished.record["classes"]]
    truth = [names.index(one.label) for one in pictures]
    temperature = finished.record["temperature"]
    sharpened = softmax(np.log(twin.predict_on_batch(pixels)["probabilities"]), temperature)
    loss = -np.log(sharpened[np.arange(len(truth)), truth]).mean()
    assert finished.record["finetuning"][0]["after"]["validation_loss"] == pytest.approx(loss, rel=1e-4)


def test_what_is_frozen_stays_and_what_is_not_moves(place: Path, tuned: Path) -> None:
    before = read_run(place / "head", weights=str(place / "small.weights.h5")).backbone
    after = read_run(tuned).backbone
    trained = False
    for one, other in zip(before.layers, after.layers, strict=True):
        trained = trained or one.name.startswith("conv_dw_13")
        for old, new in zip(one.get_weights(), other.get_weights(), strict=True):
            assert (old != new).any() == trained, one.name


def test_a_run_that_was_killed_gives_the_same_as_one_that_was_not(
    place: Path, tuned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    saved = Checkpoint.save

    def save_and_die(self: Checkpoint, progress: Progress, arrays: dict[str, list[Any]]) -> None:
        saved(self, progress, arrays)
        raise Killed

    monkeypatch.setattr(Checkpoint, "save", save_and_die)
    with pytest.raises(Killed):
        tune(place, "killed")
    assert not (place / "killed" / "head.npz").exists()
    monkeypatch.undo()
    tune(place, "killed")
    assert_same_result(place / "killed", tuned)


def test_another_training_in_the_folder_is_refused_and_it_stays_as_it_is(place: Path, tuned: Path) -> None:
    there = {one: one.stat().st_mtime_ns for one in tuned.iterdir() if one.is_file()}
    assert {"split.csv", "head.npz", "backbone.npz"} <= {one.name for one in there}
    with pytest.raises(TrainingError, match=r"different: settings"):
        tune(place, tuned.name, dataclasses.replace(SETTINGS, seed=5))
    assert {one: one.stat().st_mtime_ns for one in tuned.iterdir() if one.is_file()} == there


def test_the_exported_model_answers_as_the_trained_network(place: Path, tuned: Path) -> None:
    version = export_run(tuned, place / "data", place / "models" / "m")
    card = json.loads((version / "card.json").read_text())
    assert card["finetuning"][0]["best_epoch"] >= 1
    assert "fine-tuned" in (version / "MODEL_CARD.md").read_text()
    finished = read_run(tuned)
    twin = build_tunable(finished, SETTINGS).twin
    model = ExportedModel(version)
    pixels = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), np.uint8)
    answers = twin.predict_on_batch(pixels.astype(np.float32))["probabilities"]
    logits = np.log(answers.astype(np.float64))
    expected = np.exp(logits / finished.record["temperature"])
    expected = np.sort(expected / expected.sum(axis=1, keepdims=True))[:, ::-1]
    np.testing.assert_allclose(model.answer(pixels)["probabilities"], expected, atol=1e-5)


def test_passes_without_a_better_loss_end_the_training(
    place: Path, tuned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([5.0, 3.0, 4.0, 4.0, 1.0])
    monkeypatch.setattr(
        passes.Training,
        "_measured",
        lambda _, epoch: {"epoch": epoch, "validation_loss": next(losses)},
    )
    monkeypatch.setattr(
        keras.Model, "fit", lambda *_, **__: types.SimpleNamespace(history={"loss": [1.0]}), raising=True
    )
    record = tune(place, "stopped", dataclasses.replace(SETTINGS, epochs=9, patience=2))
    assert record["finetuning"][0]["best_epoch"] == 1
    assert len(json.loads((place / "stopped" / "history.json").read_text())) == 4


@pytest.mark.parametrize("on_validation", [False, True])
def test_a_pass_that_runs_away_ends_the_training_with_what_was_best_before(
    place: Path, monkeypatch: pytest.MonkeyPatch, *, on_validation: bool
) -> None:
    passed: list[list[NDArray[Any]]] = []
    averaged = passes.Training._averaged

    def run_away(self: passes.Training) -> list[NDArray[Any]]:
        weights = averaged(self)
        passed.append(weights)
        return weights if len(passed) == 1 else [np.full_like(one, np.nan) for one in weights]

    monkeypatch.setattr(passes.Training, "_averaged", run_away)
    settings, run = dataclasses.replace(SETTINGS, epochs=4), f"ran-away-{on_validation}"
    stage = tune(place, run, settings, on_validation=on_validation)["finetuning"][0]
    assert len(passed) == 2
    assert stage["best_epoch"] == 1
    history = json.loads((place / run / "history.json").read_text(), parse_constant=pytest.fail)
    assert [row.get("ran_away", False) for row in history] == [False, False, True]
    kept = read_run(place / run).head.layers[-1][1]
    np.testing.assert_array_equal(kept, passed[0][-1])
    assert tune(place, run, settings, on_validation=on_validation)["finetuning"][0] == stage
    assert len(passed) == 2, "it is over"


def test_a_training_that_runs_away_at_once_says_so_and_leaves_nothing_in_the_way(place: Path) -> None:
    settings = dataclasses.replace(SETTINGS, learning_rate=1e30, epochs=1)
    with pytest.raises(RanAwayError, match=r"at a learning rate of 1e\+30\. Give a lower --learning-rate"):
        tune(place, "too-fast", settings, on_validation=True)
    assert not (place / "too-fast" / "checkpoint.npz").exists()
    assert not (place / "too-fast" / "head.npz").exists()


def test_a_run_tuned_from_a_blend_is_none(place: Path, tuned: Path) -> None:
    start = shutil.copytree(tuned, place / "was-blended")
    record = json.loads((start / "run.json").read_text())
    (start / "run.json").write_text(json.dumps({**record, "blended": {"share": 0.5}, "refitted": {}}))
    found = tune(place, "from-blend", dataclasses.replace(SETTINGS, epochs=1), start="was-blended")
    assert not found.keys() & {"blended", "refitted"}
    assert len(found["finetuning"]) == 2


def test_a_weight_needs_a_table_with_new_heads(place: Path) -> None:
    with pytest.raises(DataError, match="--head-weight is_sport: without a table there are no new heads"):
        tune(place, "weighed", head_weights={"is_sport": 0.5})


def test_other_pictures_than_the_runs_are_refused(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "data", tmp_path / "data")
    (tmp_path / "data" / "tennis" / "000.png").write_bytes(
        (tmp_path / "data" / "tennis" / "001.png").read_bytes()
    )
    start = place / "head"
    with pytest.raises(DataError, match=r"are not those that .* was trained on"):
        finetune(
            start,
            tmp_path / "data",
            tmp_path,
            tmp_path / "run",
            SETTINGS,
            weights=str(place / "small.weights.h5"),
        )
    assert not (tmp_path / "run").exists()


def test_a_layer_that_is_not_there_is_named(place: Path) -> None:
    with pytest.raises(TrainingError, match=r"no layer 'block_99' to unfreeze from; it has .*conv_pw_13"):
        tune(place, "nowhere", dataclasses.replace(SETTINGS, unfreeze="block_99"))


def test_batch_normalisations_that_cannot_be_folded_keep_their_statistics() -> None:
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    network = keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(x))
    _unfreeze(network, "")
    assert network.get_layer("conv").trainable
    assert not network.get_layer("norm").trainable
    before = network.get_layer("norm").get_weights()
    network(np.ones((2, 4, 4, 3), np.float32), training=True)
    for one, other in zip(before, network.get_layer("norm").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_mixed_precision_computes_the_same_up_to_its_digits(place: Path) -> None:
    run = read_run(place / "head", weights=str(place / "small.weights.h5"))
    wide, narrow = (
        build_tunable(run, dataclasses.replace(SETTINGS, precision=precision)).network
        for precision in PRECISIONS
    )
    pixels = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)
    exact = wide.predict_on_batch(pixels)
    assert exact.dtype == np.float32
    np.testing.assert_allclose(narrow.predict_on_batch(pixels), exact, atol=0.05 * np.abs(exact).max())


def test_the_command_makes_a_second_stage_at_another_size_on_all_but_the_test_part(
    place: Path, tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: dict[str, object] = {
        "--start": tuned,
        "--data": place / "data",
        "--cache": place / "cache",
        "--run": place / "second",
        "--size": "80x96",
        "--shrink": 0.5,
        "--precision": "mixed_bfloat16",
        "--epochs": 1,
        "--batch": 8,
        "--unfreeze": "conv_pw_13",
        "--strength": 2.5,
        "--mixup": 0,
        "--smallest-area": 1,
    }

    def command() -> list[str]:
        return [
            "finetune",
            "--on-validation",
            *(str(part) for pair in arguments.items() for part in pair),
        ]

    assert main(command()) == 0
    assert "before: not measured" in capsys.readouterr().out
    record = json.loads((place / "second" / "run.json").read_text())
    stage = record["finetuning"][-1]
    assert stage["settings"]["augmentation"] == {
        "smallest_area": 1.0,
        "operations": 1,
        "strength": 2.5,
        "degraded": 0.0,
    }
    assert stage["settings"]["mixing"]["mixup"] == 0
    assert [one["started_from"] for one in record["finetuning"]] == ["head", "tuned"]
    assert record["trained_on"]["validation_included"]
    parts = [len(read_split(tuned / "split.csv", place / "data", part)) for part in ("train", "validation")]
    assert record["trained_on"]["pictures"] == sum(parts)
    assert read_run(place / "second").backbone.input_shape == (None, 80, 96, 3)
    assert {weights.dtype for weights in weights_of(place / "second")} == {np.dtype(np.float32)}
    assert record["temperature"] == json.loads((tuned / "run.json").read_text())["temperature"]

    arguments["--start"] = place / "nowhere"
    assert main(command()) == 1
    assert "no complete run" in capsys.readouterr().err


def test_a_blend_lies_between_its_runs_at_the_share_that_validation_chose(
    place: Path, tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(place / "small.weights.h5")
    pair = ["--start", str(place / "head"), "--tuned", str(tuned), "--backbone-weights", weights]
    measured = [*pair, "--run", str(place / "blend"), "--data", str(place / "data"), "--shares", "0.25", "1"]
    assert main(["blend", *measured]) == 0
    chosen = json.loads((place / "blend" / "run.json").read_text())["blended"]
    assert [row["share"] for row in chosen["tried"]] == [0.25, 1]
    assert chosen["validation_loss"] == min(row["validation_loss"] for row in chosen["tried"])
    after = json.loads((tuned / "run.json").read_text())["finetuning"][0]["after"]
    assert chosen["tried"][1]["validation_loss"] == pytest.approx(after["validation_loss"], rel=1e-4)

    assert main(["blend", *pair, "--run", str(place / "like"), "--like", str(place / "blend")]) == 0
    record = json.loads((place / "like" / "run.json").read_text())
    assert record["temperature"] == chosen["temperature"]
    first = read_run(place / "head", weights=weights)
    ends = [first.backbone.get_weights()[-1], read_run(tuned).backbone.get_weights()[-1]]
    np.testing.assert_allclose(
        read_run(place / "like").backbone.get_weights()[-1],
        (1 - chosen["share"]) * ends[0] + chosen["share"] * ends[1],
        rtol=1e-5,
        atol=1e-7,
    )
    capsys.readouterr()
    assert main(["blend", *pair, "--run", str(place / "none")]) == 1
    assert "Give shares to measure" in capsys.readouterr().err

    # A picture that one run was trained on must not be held out by the other.
    moved = shutil.copytree(tuned, place / "moved")
    split = (tuned / "split.csv").read_text().splitlines()
    moved.joinpath("split.csv").write_text("\n".join([*split[:-1], _in_another_part(split[-1])]))
    pair[3] = str(moved)
    assert main(["blend", *pair, "--run", str(place / "none"), "--like", str(place / "blend")]) == 1
    assert "not of one line" in capsys.readouterr().err


def test_a_blend_with_a_run_that_has_seen_validation_has_seen_it_whichever_of_the_two_it_is(
    place: Path, tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(place / "small.weights.h5")
    for name, source in (("seen-head", place / "head"), ("seen-tuned", tuned)):
        record = json.loads((shutil.copytree(source, place / name) / "run.json").read_text())
        record["trained_on"]["validation_included"] = True
        (place / name / "run.json").write_text(json.dumps(record))
    measured = shutil.copytree(tuned, place / "measured")
    record = json.loads((measured / "run.json").read_text())
    record["blended"] = {"share": 0.5, "temperature": 1.25, "tried": []}
    (measured / "run.json").write_text(json.dumps(record))
    for start, end, seen in (
        ("seen-head", "tuned", "seen-head"),
        ("head", "seen-tuned", "seen-tuned"),
        ("head", "tuned", None),
    ):
        pair = ["--start", str(place / start), "--tuned", str(place / end), "--backbone-weights", weights]
        run = f"between-{start}-{end}"
        if seen:
            more = ["--run", str(place / "none"), "--data", str(place / "data"), "--shares", "1"]
            assert main(["blend", *pair, *more]) == 1
            assert f"{seen} was trained on the validation part, so" in capsys.readouterr().err
        assert main(["blend", *pair, "--run", str(place / run), "--like", str(measured)]) == 0
        trained_on = read_run(place / run).record["trained_on"]
        assert trained_on["validation_included"] == bool(seen)
        assert trained_on["pictures"] == record["trained_on"]["pictures"]


def test_a_training_that_goes_on_tells_its_earlier_passes_again(place: Path) -> None:
    def stop_in_second(row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(place, "told", after_pass=stop_in_second)
    told: list[dict[str, Any]] = []
    tune(place, "told", after_pass=told.append)
    assert [row["epoch"] for row in told] == [1, 2]
    history = json.loads((place / "told" / "history.json").read_text())
    assert [row["validation_loss"] for row in told] == [row["validation_loss"] for row in history[1:]]


def _in_another_part(row: str) -> str:
    head, _, part = row.rpartition(",")
    return f"{head},{'test' if part == 'train' else 'train'}"
