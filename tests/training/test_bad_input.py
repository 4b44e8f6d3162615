"""What a person meets who gives the commands something wrong: a message that says what to do, and nothing lost."""

import contextlib
import json
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training import little
from tests.training.pictures import COLOURS, coloured_noise, png, write_class_folders
from training.backbones import BackboneSettings, build_backbone
from training.checkpoint import Checkpoint, Progress
from training.command import main

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module", autouse=True)
def little_backbone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, little.NAME, little.build, raising=False)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, weights, and a finished run in `head`."""
    place = tmp_path_factory.mktemp("bad-input")
    write_class_folders(place / "data")
    backbone = build_backbone(BackboneSettings(little.NAME, "none", little.SIZE, little.SIZE))
    backbone.save_weights(place / "little.weights.h5")
    assert main(train_arguments(place, "head")) == 0
    return place


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "place")
    return tmp_path / "place"


def train_arguments(place: Path, run: str, *more: str) -> list[str]:
    options = {
        "--data": place / "data",
        "--cache": place / "cache",
        "--run": place / run,
        "--backbone": little.NAME,
        "--backbone-weights": place / "little.weights.h5",
        "--size": little.SIZE,
        "--crops": 0,
        "--hidden": 0,
        "--epochs": 1,
        "--validation": 0.2,
        "--test": 0.2,
        "--alike-cosine": 1.1,
    }
    return [
        "train",
        "--final-on-train-only",
        *(str(part) for pair in options.items() for part in pair),
        *more,
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def add_class(place: Path, name: str, pictures: int) -> None:
    (place / "data" / name).mkdir()
    for seed in range(pictures):
        data = png(coloured_noise((200, 200, 40), 9000 + seed))
        (place / "data" / name / f"{seed}.png").write_bytes(data)


def classes_of(run: Path) -> dict[str, int]:
    record = json.loads((run / "run.json").read_text())
    return {row["name"].lower(): row["trained_on"] for row in record["classes"]}


def test_an_empty_class_and_a_corrupt_picture_are_left_out_and_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_class(place, "curling", 0)
    (place / "data" / "tennis" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (place / "data" / "tennis" / "none.png").write_bytes(b"")
    before = contents(place / "cache")
    assert main(train_arguments(place, "again")) == 0
    said = capsys.readouterr().err
    assert "left out: curling: the class has no picture" in said
    assert "left out: tennis/broken.png: " in said
    assert "left out: tennis/none.png: the file is empty" in said
    assert classes_of(place / "again").keys() == COLOURS.keys()
    assert before.items() <= contents(place / "cache").items(), "what was computed before is used again"


def test_a_class_in_the_training_part_alone_is_said_to_be_unmeasured(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_class(place, "curling", 2)
    assert main(train_arguments(place, "again")) == 0
    said = capsys.readouterr().err
    for part in ("validation", "test"):
        assert (
            f"not measured in the {part} part, where they have no picture: Curling (2). In brackets" in said
        )
    assert classes_of(place / "again")["curling"] == 2


def test_a_class_that_is_not_in_the_training_part_stops_the_run(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = (place / "head" / "split.csv").read_text().splitlines()
    header, *rows = split
    position = header.split(",").index("part")
    moved = []
    for row in rows:
        cells = row.split(",")
        if cells[1] == "tennis":
            cells[position] = "test"
        moved.append(",".join(cells))
    (place / "table.csv").write_text("\n".join([header, *moved]) + "\n")
    assert main(train_arguments(place, "again", "--split", str(place / "table.csv"))) == 1
    assert (
        "No picture is in the training part of Tennis: it could only be answered wrong"
        in capsys.readouterr().err
    )
    assert not (place / "again").exists()


@pytest.mark.parametrize("kind", ["of another network", "cut short", "no weights at all", "not there"])
def test_wrong_weights_are_named_and_leave_everything_as_it_is(
    place: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    weights = place / "little.weights.h5"
    said = f"{weights} does not hold weights for Little without its classifier: "
    if kind == "of another network":
        inputs = keras.Input((2,))
        keras.Model(inputs, keras.layers.Dense(3)(inputs)).save_weights(weights)
    elif kind == "cut short":
        weights.write_bytes(weights.read_bytes()[:-500])
    elif kind == "no weights at all":
        weights.write_text("<html>404</html>")
    else:
        weights.unlink()
        said = f"There is no weights file {weights}."
    before = contents(place)
    assert main(train_arguments(place, "again")) == 1
    assert main(little.finetune_arguments(place, "tuned")) == 1
    assert capsys.readouterr().err.count(f"error: {said}") == 2
    assert contents(place) == before


def test_other_weights_than_the_runs_are_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = build_backbone(BackboneSettings(little.NAME, "none", little.SIZE, little.SIZE))
    other.save_weights(place / "little.weights.h5")
    before = contents(place)
    assert main(little.finetune_arguments(place, "tuned")) == 1
    assert "holds other weights than those the head was trained on" in capsys.readouterr().err
    assert contents(place) == before


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_while_features_are_written(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = place / "cache" / "features"
    shutil.rmtree(features)
    with files_of_at_most(1000):
        assert main(train_arguments(place, "again")) == 1
    said = capsys.readouterr().err
    assert "error: [Errno 27] File too large. What was computed before is in the cache." in said
    assert not contents(features), "no part of a file is left"
    assert main(train_arguments(place, "again")) == 0
    assert (place / "again" / "head.npz").read_bytes() == (place / "head" / "head.npz").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_disk_that_is_full_when_a_checkpoint_is_written_costs_one_pass(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(little.finetune_arguments(place, "whole")) == 0

    saved = Checkpoint.save

    def save_and_stop(self: Checkpoint, progress: Progress, *given: object) -> None:
        saved(self, progress, *given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", save_and_stop)
    assert main(little.finetune_arguments(place, "tuned")) == 130
    monkeypatch.undo()
    before = (place / "tuned" / "checkpoint.npz").read_bytes()
    (place / "tuned" / ".checkpoint.npz.draft").symlink_to("/dev/full")
    capsys.readouterr()
    assert main(little.finetune_arguments(place, "tuned")) == 1
    said = capsys.readouterr().err
    assert (
        "checkpoint.npz cannot be written: No space left on device. What was reached after 1 epochs is kept"
        in said
    )
    assert (place / "tuned" / "checkpoint.npz").read_bytes() == before
    assert not (place / "tuned" / "head.npz").exists()

    assert main(little.finetune_arguments(place, "tuned")) == 0
    for name in ("head.npz", "backbone.npz"):
        with np.load(place / "tuned" / name) as one, np.load(place / "whole" / name) as other:
            for key in one.files:
                np.testing.assert_allclose(one[key], other[key], rtol=1e-4, atol=1e-5)


def test_a_run_whose_files_are_damaged_is_refused_and_can_be_mended(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = place / "head" / "head.npz"
    whole = head.read_bytes()
    head.write_bytes(whole[: len(whole) // 2])
    assert main(little.finetune_arguments(place, "tuned")) == 1
    assert "head.npz holds no trained head: damaged, or no file of arrays" in capsys.readouterr().err
    assert main(train_arguments(place, "head")) == 0
    assert head.read_bytes() == whole
    (place / "head" / "run.json").write_text("{")
    assert main(little.finetune_arguments(place, "tuned")) == 1
    assert "is no complete run" in capsys.readouterr().err
