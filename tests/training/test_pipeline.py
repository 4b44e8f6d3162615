import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catalogue import load_catalogue
from preprocessing import decode_picture
from tests.training.pictures import COLOURS, coloured_noise, write_class_folders
from training.backbones import BackboneSettings, build_backbone
from training.calibration import softmax
from training.classifier import HeadWeights
from training.command import main
from training.data import read_class_folders
from training.errors import DataError, ExportError, WeightsError
from training.head import HeadSettings
from training.pipeline import Prepared, prepare, train
from training.served import ExportedModel
from training.settings import TrainSettings
from training.shipping import export_run
from training.split import PARTS
from training.split_file import read_split

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

HEAD = HeadSettings(
    hidden=0, epochs=8, batch=16, learning_rate=3e-2, weight_decay=0, input_dropout=0, balance=0
)
HEIGHT, WIDTH = 48, 32
COPIES = 4
PICTURES = 3 * 12 + COPIES


def backbone_with(weights: str) -> BackboneSettings:
    return BackboneSettings("MobileNet", weights, HEIGHT, WIDTH, options={"alpha": 0.25})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data` (three classes of pictures, some copied, one unreadable) and a backbone's weights."""
    place = tmp_path_factory.mktemp("training")
    write_class_folders(place / "data")
    for seed in range(COPIES):
        # A recompressed copy, every other one mirrored.
        pixels = coloured_noise(COLOURS["baseball"], seed)[:, :: 1 - 2 * (seed % 2)]
        Image.fromarray(pixels).save(place / "data" / "baseball" / f"copy-{seed}.jpg", quality=70)
    (place / "data" / "tennis" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    backbone = build_backbone(backbone_with("none"))
    backbone.save_weights(place / "small.weights.h5")
    return place


def settings_for(place: Path, seed: int = 0) -> TrainSettings:
    # Features of random weights are all alike, so only the hashes group here.
    return TrainSettings(
        backbone=backbone_with(str(place / "small.weights.h5")),
        pooling="avg+max",
        crops=1,
        heads=(HEAD, HeadSettings(hidden=8, epochs=2, batch=16)),
        validation=0.2,
        test=0.2,
        cosine=1.1,
        seed=seed,
    )


@pytest.fixture(scope="module")
def prepared(place: Path) -> Prepared:
    return prepare(read_class_folders(place / "data"), settings_for(place), place / "cache")


@pytest.fixture(scope="module")
def run(place: Path, prepared: Prepared) -> Path:
    train(prepared, settings_for(place), place / "run", progress=False)
    return place / "run"


@pytest.fixture(scope="module")
def version(place: Path, run: Path) -> Path:
    return export_run(run, place / "data", place / "models" / "m", weights=str(place / "small.weights.h5"))


def test_an_unreadable_picture_is_left_out_and_named(prepared: Prepared) -> None:
    assert len(prepared.data.pictures) == PICTURES
    assert len(prepared.data.problems) == 1
    assert prepared.data.problems[0].startswith("tennis/broken.png: ")


def test_copies_are_grouped_with_what_they_copy_and_no_group_is_parted(prepared: Prepared) -> None:
    names = [picture.name for picture in prepared.data.pictures]
    for seed in range(COPIES):
        original, copy = names.index(f"baseball/{seed:03}.png"), names.index(f"baseball/copy-{seed}.jpg")
        assert prepared.groups[original] == prepared.groups[copy]
    assert len(set(prepared.groups.tolist())) == PICTURES - COPIES, "and nothing else is"
    part_of: dict[int, str] = {}
    positions: list[int] = []
    for part in PARTS:
        for position in getattr(prepared.split, part).tolist():
            assert part_of.setdefault(int(prepared.groups[position]), part) == part
            positions.append(position)
    assert sorted(positions) == list(range(PICTURES))


def test_only_what_is_trained_on_has_augmented_features(prepared: Prepared) -> None:
    assert len(prepared.store.known("original")) == PICTURES
    assert len(prepared.store.known("crop-1")) == PICTURES - len(prepared.split.test)


def test_the_run_folder_tells_what_was_done(run: Path, prepared: Prepared) -> None:
    record = json.loads((run / "run.json").read_text())
    assert record["settings"]["backbone"]["weights"] == "small.weights.h5"
    assert record["data"]["fingerprint"] == prepared.data.fingerprint
    assert sum(row["trained_on"] for row in record["classes"]) == record["trained_on"]["pictures"]
    assert record["trained_on"]["pictures"] == PICTURES - len(prepared.split.test)
    assert {"commit", "tensorflow", "keras", "python"} <= record["code"].keys()
    candidates = json.loads((run / "candidates.json").read_text())
    assert len(candidates) == 2
    assert record["chosen"] == max(candidates, key=lambda one: (one["top1"], one["top3"], -one["loss"]))
    assert TrainSettings.from_json(record["settings"]).heads == settings_for(run.parent).heads


def test_a_training_that_is_stopped_leaves_no_older_head_beside_its_split(
    place: Path, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("head.npz", "backbone.npz"):
        (tmp_path / name).touch()

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.pipeline.try_head", stop)
    with pytest.raises(KeyboardInterrupt):
        train(prepared, settings_for(place), tmp_path, progress=False)
    assert [one.name for one in tmp_path.iterdir()] == ["split.csv"]


def test_a_run_needs_pictures_to_choose_a_head_by(place: Path, prepared: Prepared, tmp_path: Path) -> None:
    split = dataclasses.replace(prepared.split, validation=np.zeros(0, np.int64))
    with pytest.raises(DataError, match="No picture is in the validation part"):
        train(dataclasses.replace(prepared, split=split), settings_for(place), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_shipped_version_has_its_card_and_measures_what_it_serves(
    place: Path, run: Path, version: Path, prepared: Prepared
) -> None:
    assert version == place / "models" / "m" / "1"
    card = json.loads((version / "card.json").read_text())
    sports = [load_catalogue().by_name(label) for label in sorted(COLOURS)]
    assert [(row["id"], row["name"]) for row in card["classes"]] == [(s.id, s.name) for s in sports if s]
    assert card["input"] == {**card["input"], "height": HEIGHT, "width": WIDTH}
    assert card["sources"] == [{"source": "not stated", "licences": ["not stated"], "pictures": PICTURES}]
    assert card["metrics"]["all"]["pictures"] == len(prepared.split.test)
    assert json.loads((run / "metrics.json").read_text()) == card["metrics"]
    assert card["temperature"] == card["chosen"]["temperature"]
    assert 0 <= card["metrics"]["calibration_error"] <= 1
    readable = (version / "MODEL_CARD.md").read_text()
    assert "# m: 3 classes" in readable
    assert "Low evidence" in readable
    assert str(place) not in readable + (version / "card.json").read_text()

    model, right = ExportedModel(version), 0
    for position in prepared.split.test.tolist():
        picture = prepared.data.pictures[position]
        answer = model.answer(decode_picture(picture.path.read_bytes(), height=HEIGHT, width=WIDTH)[None])
        right += answer["class_names"][0, 0].decode().lower() == picture.label
    assert right == card["metrics"]["all"]["top1"]["right"]


def test_the_exported_model_is_the_one_that_was_trained(run: Path, version: Path, prepared: Prepared) -> None:
    positions = prepared.split.test
    features = prepared.features(positions, ("original",), "avg+max").views[0].astype(np.float32)
    logits = HeadWeights.load(run / "head.npz").logits(features)
    temperature = json.loads((run / "run.json").read_text())["chosen"]["temperature"]
    assert temperature != 1.0
    expected = np.sort(softmax(logits, temperature))[:, ::-1]
    pictures = [prepared.data.pictures[position] for position in positions.tolist()]
    np.testing.assert_allclose(
        ExportedModel(version).answer_pictures(pictures).probabilities, expected, atol=5e-3
    )


def test_other_weights_than_the_runs_are_refused(place: Path, run: Path) -> None:
    build_backbone(backbone_with("none")).save_weights(place / "other.weights.h5")
    with pytest.raises(WeightsError, match="other weights"):
        export_run(run, place / "data", place / "models" / "x", weights=str(place / "other.weights.h5"))
    with pytest.raises(ExportError, match="no complete run"):
        export_run(place / "norun", place / "data", place / "models" / "x")
    assert not (place / "models" / "x").exists()


def test_the_split_file_finds_its_pictures_or_says_what_is_missing(
    place: Path, run: Path, tmp_path: Path
) -> None:
    assert len(read_split(run / "split.csv", place / "data", "all")) == PICTURES
    with pytest.raises(DataError, match="of part 'test' are not under"):
        read_split(run / "split.csv", tmp_path, "test")
    with pytest.raises(DataError, match="no split"):
        read_split(tmp_path / "none.csv", tmp_path, "test")


def test_labels_must_be_in_the_catalogue(place: Path, tmp_path: Path) -> None:
    write_class_folders(tmp_path, each=1)
    (tmp_path / "tennis").rename(tmp_path / "flying saucers")
    with pytest.raises(DataError, match=r"1 of 3 labels: 'flying saucers'.*sports\.json"):
        prepare(read_class_folders(tmp_path), settings_for(place), tmp_path / "cache")
    write_class_folders(tmp_path / "one", each=1, labels=("tennis",))
    with pytest.raises(DataError, match="at least two"):
        prepare(read_class_folders(tmp_path / "one"), settings_for(place), tmp_path / "cache")


def test_a_class_without_a_readable_picture_is_named(place: Path, tmp_path: Path) -> None:
    write_class_folders(tmp_path, each=2)
    for path in (tmp_path / "cricket").iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="No picture can be decoded of cricket"):
        prepare(read_class_folders(tmp_path), settings_for(place), tmp_path / "cache")


def test_the_command_evaluates_a_version(
    place: Path, run: Path, version: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = place / "figures.json"
    arguments = ["evaluate", "--model", version, "--data", place / "data", "--split", run / "split.csv"]
    assert main([str(one) for one in [*arguments, "--part", "all", "--output", output]]) == 0
    assert f"all: {PICTURES} pictures, top-1 " in capsys.readouterr().out
    assert json.loads(output.read_text())["all"]["pictures"] == PICTURES
    assert main([str(one) for one in [*arguments[:-1], place / "none.csv"]]) == 1
    assert "error: " in capsys.readouterr().err
    assert main(["evaluate", "--model", str(version), "--data", str(place / "data")]) == 1
    assert "broken.png cannot be decoded" in capsys.readouterr().err
