"""Several heads on one backbone: from a manifest of three tasks to two exported models."""

import csv
import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from preprocessing import decode_picture
from tests.training.pictures import coloured_noise, png
from training.augment import AugmentSettings
from training.backbones import BackboneSettings, build_backbone
from training.cleaning.decisions import read_decisions
from training.command import main
from training.errors import DataError, ExportError, TrainingError
from training.finetune import finetune
from training.finetune_settings import FinetuneSettings
from training.head import HeadSettings
from training.head_measures import auroc, best_threshold, measure_groups
from training.head_set import UNKNOWN, Head, HeadSet, HeadsLoss
from training.labelling import Labels, read_labels, write_all_targets
from training.pipeline import prepare, train
from training.reading import read_data
from training.refit import refit
from training.runs import read_run
from training.served import ExportedModel
from training.settings import TrainSettings
from training.shipping import export_run
from training.split_file import read_split
from training.targets import read_targets
from training.tunable import build_tunable

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

SIZE = 32
TWO = HeadSet(
    (Head("sport", ("1", "2", "3"), ("A", "B", "C")), Head("is_sport", ("no", "yes"), ("no", "yes"), 0.5))
)
#: Task, label, group and colour of what the manifest holds.
KINDS = (
    ("sport", "baseball", "", (220, 60, 60)),
    ("sport", "cricket", "", (60, 200, 60)),
    ("sport", "tennis", "", (60, 80, 220)),
    ("negative", "kitchen", "", (200, 200, 40)),
    ("product", "racket", "Tennis", (40, 200, 200)),
    ("product", "racket", "Badminton", (200, 40, 200)),
    ("product", "racket", "", (120, 40, 120)),
    ("product", "skateboard", "Skateboarding", (200, 200, 200)),
)
EACH = 12
LABELS = Labels(
    {"baseball": {"environment": "outdoor", "participation": "team"}, "tennis": {"environment": "indoor"}},
    {},
    {},
)


def write_manifest(place: Path) -> Path:
    with (place / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "group", "task", "source", "licence"])
        for number, (task, label, group, colour) in enumerate(KINDS):
            for seed in range(EACH):
                name = f"{task}/{label}/{group or 'none'}-{seed:02}.png"
                (place / "data" / name).parent.mkdir(parents=True, exist_ok=True)
                (place / "data" / name).write_bytes(png(coloured_noise(colour, 1000 * number + seed)))
                writer.writerow([name, label, group, task, f"source of {task}", ""])
    return place / "manifest.csv"


def settings_of(place: Path) -> TrainSettings:
    weights = str(place / "small.weights.h5")
    return TrainSettings(
        backbone=BackboneSettings("MobileNet", weights, SIZE, SIZE, {"alpha": 0.25}),
        pooling="avg",
        crops=0,
        heads=(HeadSettings(hidden=0, epochs=2, batch=8, mixup=0),),
        validation=0.2,
        test=0.2,
        cosine=1.1,
        final_on_validation=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of three tasks, their targets, a run that keeps to them, and one with all heads."""
    place = tmp_path_factory.mktemp("heads")
    manifest = write_manifest(place)
    settings = settings_of(place)
    weights = str(settings.backbone.weights)
    keras.utils.set_random_seed(1)
    build_backbone(dataclasses.replace(settings.backbone, weights="none")).save_weights(weights)
    eyes = {
        f"sport/{label}/none-{seed:02}.png": {
            "environment": "outdoor",
            "participation": "team" if label == "cricket" else "single",
        }
        for label in ("baseball", "cricket")
        for seed in range(EACH)
    }
    labels = dataclasses.replace(LABELS, by_eye=eyes, is_sport={"negative/kitchen/none-00.png": "yes"})
    write_all_targets(manifest, place / "data", place / "cache", place / "targets.csv", settings, labels)
    data = read_data(place / "data", manifest, task="sport")
    prepared = prepare(data, settings, place / "cache", split_file=place / "targets.csv")
    train(prepared, settings, place / "sport", progress=False)
    finetune(
        place / "sport",
        place / "data",
        place / "cache",
        place / "all",
        SETTINGS,
        weights=weights,
        targets=place / "targets.csv",
        head_weights={"environment": 0.25},
        progress=False,
    )
    return place


SETTINGS = FinetuneSettings(
    height=SIZE,
    width=SIZE,
    room=1.25,
    epochs=1,
    batch=8,
    learning_rate=3e-3,
    unfreeze="conv_pw_13",
    averaging=0.5,
    augmentation=AugmentSettings(degraded=0.5),
)


def test_unknown_targets_take_no_part_in_the_loss() -> None:
    ones = [np.ones(3, np.float32), np.full(2, 0.5, np.float32)]
    targets = TWO.one_hot(np.array([[1, 0], [2, UNKNOWN], [UNKNOWN, UNKNOWN]]), ones)
    logits = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    losses = np.asarray(HeadsLoss(TWO.slices.values()).call(targets, logits))
    sports = logits[:, :3] - np.log(np.exp(logits[:, :3]).sum(axis=1, keepdims=True))
    is_sport = logits[:, 3:] - np.log(np.exp(logits[:, 3:]).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(losses, [-sports[0, 1] - 0.5 * is_sport[0, 0], -sports[1, 2], 0], rtol=1e-5)


def test_smoothing_spreads_a_share_of_the_weight_that_is_there() -> None:
    targets = TWO.one_hot(np.array([[0, UNKNOWN]]), [np.full(3, 2, np.float32), np.ones(2, np.float32)])
    logits = np.array([[1.0, 0.0, 0.0, 3.0, -3.0]], np.float32)
    log = logits[0, :3] - np.log(np.exp(logits[0, :3]).sum())
    expected = -2 * (0.7 * log[0] + 0.3 * log.mean())
    loss = np.asarray(HeadsLoss(TWO.slices.values(), 0.3).call(targets, logits))
    np.testing.assert_allclose(loss, [expected], rtol=1e-5)


def test_all_tasks_share_one_split_and_test_pictures_are_tagged_by_eyes_alone(place: Path) -> None:
    table = read_targets(place / "targets.csv", place / "data")
    assert len(table.pictures) == EACH * len(KINDS)
    for part in ("train", "validation", "test"):
        tasks = {table.pictures[n].name.split("/")[0] for n in table.places(part).tolist()}
        assert tasks == {"sport", "negative", "product"}
    of = {one.name: n for n, one in enumerate(table.pictures)}
    assert table.values["is_sport"][of["negative/kitchen/none-00.png"]] == "yes"
    assert table.values["is_sport"][of["negative/kitchen/none-01.png"]] == "no"
    assert table.values["product_type"][of["product/racket/Tennis-00.png"]] == "racket"
    assert table.values["product_group"][of["product/racket/Tennis-00.png"]] == "racket/Tennis"
    assert table.values["product_group"][of["product/racket/none-00.png"]] == ""
    for name, where in of.items():
        if name.startswith("sport/tennis"):
            known = "" if table.parts[where] == "test" else "indoor"
            assert table.values["environment"][where] == known
    assert {table.values["environment"][of[f"sport/cricket/none-{seed:02}.png"]] for seed in range(EACH)} == {
        "outdoor"
    }
    parts = {one.name: part for one, part in zip(table.pictures, table.parts, strict=True)}
    for part in ("train", "validation", "test"):
        assert {
            parts[one.name] for one in read_split(place / "sport" / "split.csv", place / "data", part)
        } == {part}


def test_new_heads_are_trained_beside_the_old_one_and_recorded(place: Path) -> None:
    record = json.loads((place / "all" / "run.json").read_text())
    heads = {row["name"]: row for row in record["heads"]}
    assert list(heads) == [
        "sport",
        "is_sport",
        "environment",
        "participation",
        "product_type",
        "product_group/racket",
    ]
    assert heads["environment"]["weight"] == 0.25
    assert [one["id"] for one in heads["is_sport"]["classes"]] == ["no", "yes"]
    assert [one["id"] for one in heads["product_group/racket"]["classes"]] == ["Badminton", "Tennis"]
    assert record["classes"] == heads["sport"]["classes"]
    assert record["data"]["pictures"] == EACH * len(KINDS)
    measured = record["finetuning"][0]["after"]["heads"]
    assert measured["product_type"]["pictures"] > measured["product_group/racket"]["pictures"]
    assert record["temperature"] == measured["sport"]["temperature"]
    trained = sum(one["trained_on"] for one in heads["product_type"]["classes"])
    groups = sum(one["trained_on"] for one in heads["product_group/racket"]["classes"])
    assert trained > groups > 0


def test_the_sport_model_answers_with_the_other_heads_and_an_embedding(place: Path) -> None:
    version = export_run(place / "all", place / "data", place / "models" / "sport_classifier")
    finished = read_run(place / "all")
    heads = HeadSet.from_record(finished.record)
    pixels = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    twin = build_tunable(finished, SETTINGS).twin
    raw = twin.predict_on_batch(pixels.astype(np.float32))
    expected = heads.softmax(np.log(raw["probabilities"]))
    answer = ExportedModel(version).answer(pixels)
    parts = heads.slices
    np.testing.assert_allclose(
        answer["probabilities"], np.sort(expected[:, parts["sport"]])[:, ::-1], atol=1e-5
    )
    np.testing.assert_allclose(answer["is_sport"], expected[:, parts["is_sport"]][:, 1], atol=1e-5)
    np.testing.assert_allclose(
        answer["environment_probabilities"], expected[:, parts["environment"]], atol=1e-5
    )
    assert answer["environment_names"].tolist() == [[b"indoor", b"outdoor"]] * 3
    np.testing.assert_allclose(np.linalg.norm(answer["embedding"], axis=1), 1, atol=1e-5)
    card = json.loads((version / "card.json").read_text())
    assert set(card["metrics"]["heads"]) == {"is_sport", "environment", "participation"}
    assert "AUROC" in (version / "MODEL_CARD.md").read_text()
    assert len(card["classes"]) == 3


def test_the_product_model_answers_with_types_and_their_groups(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "--run", str(place / "all"), "--data", str(place / "data"), "--task", "product"]
    assert main([*command, "--models", str(place / "models"), "--name", "product_classifier"]) == 0
    assert "published" in capsys.readouterr().out
    version = place / "models" / "product_classifier" / "1"
    picture = place / "data" / "product" / "racket" / "Tennis-00.png"
    pixels = decode_picture(picture.read_bytes(), height=SIZE, width=SIZE)[None]
    answer = ExportedModel(version).answer(pixels)
    ids = [one.decode() for one in answer["class_ids"][0]]
    assert sorted(ids) == ["racket", "skateboard"]
    assert answer["group_probabilities"].shape == (1, 2, 2)
    np.testing.assert_allclose(answer["group_probabilities"].sum(axis=2), 1, rtol=1e-5)
    racket, board = ids.index("racket"), ids.index("skateboard")
    assert {one.decode() for one in answer["group_names"][0, racket]} == {"Badminton", "Tennis"}
    assert answer["group_probabilities"][0, racket, 0] >= answer["group_probabilities"][0, racket, 1]
    assert answer["group_names"][0, board].tolist() == [b"Skateboarding", b""]
    assert answer["group_probabilities"][0, board].tolist() == [1, 0]
    assert answer["group_sports"][0, board, 0].decode().isdecimal()
    card = json.loads((version / "card.json").read_text())
    assert "classes" not in card
    groups = {one["id"]: [group["name"] for group in one["groups"]] for one in card["types"]}
    assert groups == {"racket": ["Badminton", "Tennis"], "skateboard": ["Skateboarding"]}
    assert card["metrics"]["groups"]["end_to_end"]["of"] > 0
    assert "| racket |" in (version / "MODEL_CARD.md").read_text()


def test_pictures_without_labels_by_eye_and_products_without_groups_are_exported(
    place: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(place / "all", tmp_path / "run")
    with (run / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["targets:product_group"]
        if row["part"] == "test":
            row["targets:environment"] = ""
    with (run / "split.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    version = export_run(run, place / "data", tmp_path / "sport_classifier")
    card = json.loads((version / "card.json").read_text())
    assert card["metrics"]["heads_not_measured"] == ["environment"]
    assert set(card["metrics"]["heads"]) == {"is_sport", "participation"}
    assert "`environment`: answered, but not measured" in (version / "MODEL_CARD.md").read_text()
    version = export_run(run, place / "data", tmp_path / "product_classifier", task="product")
    card = json.loads((version / "card.json").read_text())
    assert card["metrics"]["groups"]["end_to_end"]["of"] == 0
    assert [len(one["groups"]) for one in card["types"]] == [1, 1]
    assert "Sports groups are answered, but not measured" in (version / "MODEL_CARD.md").read_text()


def test_refitting_moves_the_heads_asked_for_and_nothing_else(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["refit", "--start", str(place / "all"), "--data", str(place / "data")]
    command += ["--cache", str(place / "cache"), "--run", str(place / "refitted"), "--most", "8"]
    assert main([*command, "--head", "product_type", "--head", "product_group"]) == 0
    assert "product_group/racket: " in capsys.readouterr().out
    before, after = read_run(place / "all"), read_run(place / "refitted")
    heads = HeadSet.from_record(after.record)
    moved = np.zeros(heads.columns, bool)
    for name in ("product_type", "product_group/racket"):
        moved[heads.slices[name]] = True
    (old, _), (new, _) = before.head.layers[-1], after.head.layers[-1]
    assert ((old != new).any(axis=0) == moved).all()
    for one, other in zip(before.backbone.get_weights(), after.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    rows = after.record["refitted"]["heads"]
    assert rows["product_type"]["validation_top1"] > 0.7
    assert rows["product_type"]["pictures"] <= 16
    assert heads["product_type"].temperature == rows["product_type"]["temperature"]
    assert heads["sport"] == HeadSet.from_record(before.record)["sport"]
    assert main([*command, "--head", "weather"]) == 1
    assert "has no head 'weather' beside its first; it has is_sport," in capsys.readouterr().err


def test_refitting_goes_on_behind_a_hidden_layer(place: Path, tmp_path: Path) -> None:
    data, weights = place / "data", str(place / "small.weights.h5")
    settings = dataclasses.replace(
        settings_of(place), heads=(HeadSettings(hidden=16, epochs=2, batch=8, mixup=0),)
    )
    read = read_data(data, place / "manifest.csv", task="sport")
    prepared = prepare(read, settings, place / "cache", split_file=place / "targets.csv")
    train(prepared, settings, tmp_path / "sport", progress=False)
    finetune(
        tmp_path / "sport",
        data,
        place / "cache",
        tmp_path / "all",
        SETTINGS,
        weights=weights,
        targets=place / "targets.csv",
        progress=False,
    )
    record = refit(tmp_path / "all", data, place / "cache", tmp_path / "refitted", ["product_type"])
    before, after = read_run(tmp_path / "all"), read_run(tmp_path / "refitted")
    assert len(after.head.layers) == 2
    for one, other in zip(before.head.layers[0], after.head.layers[0], strict=True):
        np.testing.assert_array_equal(one, other)
    heads = HeadSet.from_record(record)
    moved = np.zeros(heads.columns, bool)
    moved[heads.slices["product_type"]] = True
    assert ((before.head.layers[-1][0] != after.head.layers[-1][0]).any(axis=0) == moved).all()
    assert record["refitted"]["heads"]["product_type"]["validation_top1"] > 0.7


def test_a_run_without_product_heads_makes_no_product_model(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no head for product types"):
        export_run(
            place / "sport", place / "data", tmp_path, weights=str(place / "small.weights.h5"), task="product"
        )


def test_targets_that_move_a_picture_to_another_part_are_refused(place: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.csv"
    moved.write_text((place / "targets.csv").read_text().replace(",test,", ",train,"))
    with pytest.raises(DataError, match="in another part than in"):
        finetune(
            place / "sport",
            place / "data",
            place / "cache",
            tmp_path / "run",
            SETTINGS,
            weights=str(place / "small.weights.h5"),
            targets=moved,
            progress=False,
        )


def tune(place: Path, start: str, run: Path, **more: Any) -> dict[str, Any]:
    return finetune(
        place / start,
        more.pop("data", place / "data"),
        place / "cache",
        run,
        SETTINGS,
        weights=str(place / "small.weights.h5"),
        progress=False,
        **more,
    )


def test_corrected_targets_are_another_training(place: Path, tmp_path: Path) -> None:
    run = shutil.copytree(place / "all", tmp_path / "all")
    corrected = tmp_path / "corrected.csv"
    with (place / "targets.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = next(row for row in rows if row["part"] == "train" and row["targets:environment"] == "indoor")
    wrong["targets:environment"] = "outdoor"
    write_rows(corrected, rows)
    with pytest.raises(TrainingError, match=r"different: values\)"):
        tune(place, "sport", run, targets=corrected, head_weights={"environment": 0.25})
    assert (run / "split.csv").read_bytes() == (place / "targets.csv").read_bytes()


def test_a_table_that_lacks_the_column_of_a_head_teaches_the_others(place: Path, tmp_path: Path) -> None:
    with (place / "targets.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["task"] == "product"]
    for row in rows:
        del row["targets:sport"]
    write_rows(tmp_path / "products.csv", rows)
    record = tune(place, "sport", tmp_path / "run", targets=tmp_path / "products.csv")
    names = [row["name"] for row in record["heads"]]
    assert names == ["sport", "product_type", "product_group/racket"]
    measured = record["finetuning"][0]["after"]
    assert measured["heads"].keys() == set(names[1:])
    assert measured["validation_top1"] == measured["heads"]["product_type"]["top1"]
    before = HeadSet.from_record(json.loads((place / "sport" / "run.json").read_text()))
    assert HeadSet.from_record(record)["sport"] == before["sport"]


def test_a_table_without_pictures_to_measure_is_refused(place: Path, tmp_path: Path) -> None:
    with (place / "targets.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "train"]
    write_rows(tmp_path / "train.csv", rows)
    with pytest.raises(DataError, match=r"No picture of the validation part .* or give --on-validation"):
        tune(place, "sport", tmp_path / "run", targets=tmp_path / "train.csv")


def test_pictures_that_changed_since_the_run_are_refused_by_its_own_table(
    place: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(place / "data", tmp_path / "data")
    (data / "sport/tennis/none-00.png").write_bytes((data / "sport/tennis/none-01.png").read_bytes())
    for targets in (None, place / "targets.csv"):
        with pytest.raises(DataError, match=r"are not those that .* was trained on"):
            tune(place, "all", tmp_path / "run", data=data, targets=targets)
    assert not (tmp_path / "run").exists()


def test_what_targets_leaves_out_is_named(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shutil.copytree(place / "data", tmp_path / "data")
    (data / "sport/tennis/none-00.png").unlink()
    (data / "product/skateboard/Skateboarding-01.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    output = tmp_path / "targets.csv"
    settings, manifest = settings_of(place), place / "manifest.csv"
    counts = write_all_targets(manifest, data, place / "cache", output, settings, LABELS)
    assert sum(sum(parts.values()) for parts in counts.values()) == EACH * len(KINDS) - 2
    told = capsys.readouterr().err
    assert "left out: sport/tennis/none-00.png: No such file" in told
    assert "left out: product/skateboard/Skateboarding-01.png: " in told


def write_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_tables_and_labels_that_cannot_be_used_say_why(place: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column part"):
        read_targets(place / "manifest.csv", place / "data")
    with pytest.raises(DataError, match=r"sports\.csv cannot be read"):
        read_labels(tmp_path)
    table = read_targets(place / "targets.csv", place / "data")
    with pytest.raises(DataError, match="for sport, which that head does not know"):
        table.classes(TWO)


def test_the_area_under_the_curve_counts_pairs() -> None:
    truth = np.array([True, True, False, False])
    assert auroc(np.array([0.9, 0.8, 0.2, 0.1]), truth) == 1
    assert auroc(np.array([0.9, 0.2, 0.2, 0.1]), truth) == 0.875
    assert np.isnan(auroc(np.array([0.5]), np.array([True])))


def test_the_threshold_lies_between_the_scores_that_it_parts() -> None:
    assert best_threshold(np.array([0.1, 0.2, 0.6, 0.9]), np.array([False, False, True, True])) == 0.4


def test_groups_are_counted_where_they_are_known() -> None:
    outputs = {
        "class_ids": np.array([[b"a", b"b"], [b"a", b"b"], [b"b", b"a"]]),
        "group_names": np.array([[[b"x", b"y"], [b"z", b""]]] * 2 + [[[b"z", b""], [b"x", b"y"]]]),
    }
    figures = measure_groups(outputs, ["a", "b", "b"], ["x", "z", ""])
    assert figures["given_type"]["of"] == 1
    assert figures["end_to_end"] == figures["end_to_end"] | {"right": 1, "of": 2}
    assert figures["under_true_type"] == figures["under_true_type"] | {"right": 2, "of": 2}
    assert figures["where_there_is_a_choice"]["of"] == 1


def test_decisions_and_a_choice_of_tasks_leave_the_parts_as_they_are(place: Path) -> None:
    whole = read_targets(place / "targets.csv", place / "data")
    part_of = {one.name: part for one, part in zip(whole.pictures, whole.parts, strict=True)}
    rackets = [name for name in part_of if name.startswith("product/racket/Tennis")]
    dropped, relabelled = [name for name in rackets if part_of[name] == "train"][:2]
    measured = next(name for name in rackets if part_of[name] == "test")
    decisions = place / "decisions.csv"
    decisions.write_text(
        f"file,decision,label\n{dropped},drop,\n{relabelled},relabel,skateboard\n{measured},drop,\n"
    )
    write_all_targets(
        place / "manifest.csv",
        place / "data",
        place / "cache",
        place / "products.csv",
        settings_of(place),
        LABELS,
        decisions={"product": read_decisions(decisions, "product")},
        only=["product"],
    )
    table = read_targets(place / "products.csv", place / "data")
    of = {one.name: n for n, one in enumerate(table.pictures)}
    assert dropped not in of
    assert measured in of
    assert table.values["product_type"][of[relabelled]] == "skateboard"
    assert table.values["product_group"][of[relabelled]] == "", "the group was said of a racket"
    assert set(table.values) == {"product_type", "product_group"}
    assert {table.parts[n] == part_of[name] for name, n in of.items()} == {True}


def test_decisions_are_given_by_task(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["targets", "--data", "x", "--manifest", "x", "--cache", "x", "--output", "x"]
    with pytest.raises(SystemExit):
        main([*given, "--decisions", "decisions.csv"])
    assert "decisions are given as TASK=FILE" in capsys.readouterr().err
