import argparse
import csv
import json
from pathlib import Path

import pytest

from tests.training.cleaning_data import HEAD, prepared_clouds
from tests.training.pictures import write_class_folders
from training.cleaning import command
from training.cleaning.decisions import DROP, RELABEL, Decision, read_decisions, write_decisions
from training.cleaning.suspects import read_suspects
from training.command import main
from training.pipeline import Prepared, train
from training.settings import TrainSettings

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

SETTINGS = TrainSettings(crops=0, heads=(HEAD,))


def parsed(add: str, *arguments: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    getattr(command, add)(parser)
    # Which the options of the data add, in the commands that have both.
    return parser.parse_args([str(one) for one in arguments], argparse.Namespace(task="sport"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clean")


@pytest.fixture(scope="module")
def prepared(place: Path) -> Prepared:
    return prepared_clouds(place)[0]


@pytest.fixture(scope="module")
def cleaned(place: Path, prepared: Prepared) -> Path:
    out = place / "out"
    options = parsed(
        "add_clean_options", "--cache", place, "--out", out, "--folds", 3, "--drop-top", 5, "--limit", 4
    )
    options.data = place
    command.run_clean(options, prepared, SETTINGS)
    return out


def test_clean_writes_suspects_page_examples_summary_and_decisions(cleaned: Path, prepared: Prepared) -> None:
    suspects = read_suspects(cleaned / "suspects.csv")
    summary = json.loads((cleaned / "summary.json").read_text())
    assert summary["suspects"] == len(suspects) > 4
    assert summary["pictures"] == len(prepared.data.pictures)
    assert summary["not_judged"] == 0
    assert 0.7 < summary["out_of_fold_top1"] < 1
    assert (cleaned / "review.html").read_text().count("<article") == 4
    assert set(json.loads((cleaned / "examples.json").read_text())) == set(prepared.data.labels)
    dropped = read_decisions(cleaned / "drop-top.csv")
    assert 1 <= len(dropped) <= 5
    spared = {one.file for one in suspects if one.relation or one.part == "test"}
    assert not spared & set(dropped)


def test_another_choice_of_suspects_does_not_predict_again(
    cleaned: Path, place: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(command, "out_of_fold", lambda *_, **options: asked.append(options["folds"]))
    base = ["--cache", place, "--out", place / "again"]
    (place / "again").mkdir()
    (place / "again" / "out_of_fold.npz").write_bytes((cleaned / "out_of_fold.npz").read_bytes())
    options = parsed("add_clean_options", *base, "--folds", 3, "--method", "confident-joint")
    options.data = place
    command.run_clean(options, prepared, SETTINGS)
    assert asked == []
    assert json.loads((place / "again" / "summary.json").read_text())["method"] == "confident-joint"
    options.folds = 4
    with pytest.raises(TypeError):  # nothing to unpack: the stand-in was asked
        command.run_clean(options, prepared, SETTINGS)
    assert asked == [4]


def test_review_writes_other_pages(cleaned: Path, place: Path) -> None:
    base = ["review", "--suspects", cleaned, "--data", place]

    def page(name: str, *more: object) -> str:
        assert main([str(one) for one in [*base, "--output", place / name, *more]]) == 0
        return (place / name).read_text()

    unrelated = sum(one.relation != "part" for one in read_suspects(cleaned / "suspects.csv"))
    assert page("all.html", "--unrelated").count("<article") == unrelated
    assert page("one.html", "--sample", 5, "--seed", 1) == page("same.html", "--sample", 5, "--seed", 1)
    assert page("one.html", "--sample", 5, "--seed", 1) != page("other.html", "--sample", 5, "--seed", 2)
    decided = read_decisions(cleaned / "drop-top.csv")
    assert next(iter(decided)) in page("decided.html", "--decisions", cleaned / "drop-top.csv")


def test_review_says_where_nothing_was_cleaned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["review", "--suspects", tmp_path, "--data", tmp_path, "--output", tmp_path / "page.html"]
    assert main([str(one) for one in arguments]) == 1
    assert "no list of suspects" in capsys.readouterr().err


def test_training_applies_and_records_decisions(
    place: Path, prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = prepared.data.pictures
    dropped, relabelled = (pictures[prepared.split.train[place]].name for place in (0, 1))
    in_test = pictures[prepared.split.test[0]].name
    path = place / "decisions.csv"
    write_decisions(
        path, [Decision(dropped, DROP), Decision(relabelled, RELABEL, "chess"), Decision(in_test, DROP)]
    )
    options = parsed("add_decision_options", "--decisions", path)
    changed = command.with_decisions(prepared, command.decisions_from(options), options)
    said = capsys.readouterr()
    assert "decisions: 1 dropped, 1 relabelled, 0 kept" in said.out
    assert "1 are about the test part and were not applied" in said.out

    train(changed, SETTINGS, place / "run", progress=False)
    record = json.loads((place / "run" / "run.json").read_text())["data"]["decisions"]
    assert record["file"] == "decisions.csv"
    assert (record["dropped"], record["relabelled"], record["in_test"], record["on_test"]) == (1, 1, 1, False)
    with (place / "run" / "split.csv").open() as file:
        labels = {row["file"]: (row["label"], row["part"]) for row in csv.DictReader(file)}
    assert dropped not in labels
    assert labels[relabelled] == ("chess", "train")
    assert labels[in_test][1] == "test"


def test_changing_the_test_part_is_said_aloud(
    place: Path, prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    in_test = prepared.data.pictures[prepared.split.test[0]].name
    write_decisions(place / "test.csv", [Decision(in_test, DROP), Decision("elsewhere.png", DROP)])
    options = parsed("add_decision_options", "--decisions", place / "test.csv", "--decisions-on-test")
    changed = command.with_decisions(prepared, command.decisions_from(options), options)
    assert len(changed.split.test) == len(prepared.split.test) - 1
    said = capsys.readouterr().err
    assert "the test part was changed too" in said
    assert "1 are about pictures that are not in the data" in said


def test_without_a_file_nothing_changes(prepared: Prepared) -> None:
    options = parsed("add_decision_options")
    assert command.decisions_from(options) is None
    assert command.with_decisions(prepared, None, options) is prepared


def test_clean_keeps_to_the_parts_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_class_folders(tmp_path / "data", each=1)
    kept = []

    def prepare(*_: object, split_file: Path | None = None) -> None:
        kept.append(split_file)

    monkeypatch.setattr("training.command.prepare", prepare)
    monkeypatch.setattr(command, "run_clean", lambda *_: None)
    options = ["clean", "--data", tmp_path / "data", "--cache", tmp_path, "--out", tmp_path / "out"]
    table = tmp_path / "targets.csv"
    for more in ([], ["--split", table]):
        assert main([str(one) for one in [*options, *more]]) == 0
    assert kept == [None, table]


def test_train_names_bad_rows_before_it_computes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(*_: object) -> None:
        raise AssertionError("the decisions were not read first")

    monkeypatch.setattr("training.command.prepare", prepare)
    (tmp_path / "bad.csv").write_text("file,decision,label\na.png,lose,\n")
    arguments = ["train", "--data", tmp_path, "--cache", tmp_path, "--run", tmp_path / "run"]
    assert main([str(one) for one in [*arguments, "--decisions", tmp_path / "bad.csv"]]) == 1
    assert "line 2: a.png: the decision is keep, relabel or drop, not 'lose'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
