"""The labels made by eye are well-formed, and name sports that the catalogue knows."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from catalogue import load_catalogue

LABELS = Path(__file__).resolve().parents[2] / "training" / "labels"
COLUMNS = {
    "environment_participation": ["file", "part", "environment", "participation", "by", "drawn"],
    "sports": ["label", "environment", "participation", "seen", "indoor", "outdoor", "single", "team"],
    "is_sport": ["file", "is_sport"],
}


def rows(name: str) -> list[dict[str, str]]:
    with (LABELS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def is_picture(path: str, tasks: set[str]) -> bool:
    task, label, name = path.split("/")
    return task in tasks and bool(label) and name.endswith(".webp")


@pytest.mark.parametrize("name", COLUMNS)
def test_a_file_has_its_columns_and_names_nothing_twice_or_out_of_order(name: str) -> None:
    found = rows(name)
    assert found
    assert all(list(row) == COLUMNS[name] and None not in row.values() for row in found)
    names = [row[COLUMNS[name][0]] for row in found]
    assert names == sorted(set(names))


def test_pictures_have_a_known_value_or_none() -> None:
    for row in rows("environment_participation"):
        assert is_picture(row["file"], {"sport"}), row
        assert row["environment"] in {"", "indoor", "outdoor"}, row
        assert row["participation"] in {"", "single", "team"}, row
        assert (row["part"], row["drawn"]) in {
            ("train", "class"),
            ("train", "mixed"),
            ("validation", "judge"),
            ("test", "judge"),
            ("test", "judge-mixed"),
        }, row
        assert row["by"] == "eye", row


def test_enough_is_labelled_to_judge_both_heads() -> None:
    judged = [
        row for row in rows("environment_participation") if row["drawn"] == "judge" and row["part"] == "test"
    ]
    assert sum(bool(row["environment"]) for row in judged) >= 200
    assert sum(bool(row["participation"]) for row in judged) >= 200


def test_sports_have_a_value_that_their_pictures_bear_out() -> None:
    for row in rows("sports"):
        assert row["environment"] in {"indoor", "outdoor", "mixed"}, row
        assert row["participation"] in {"single", "team", "mixed"}, row
        for one, other in (("indoor", "outdoor"), ("single", "team")):
            assert int(row[one]) + int(row[other]) <= int(row["seen"]), row
            certain = {one, other} & {row["environment"], row["participation"]}
            for value in certain:
                assert int(row[value]) > int(row[other if value == one else one]), row


def test_counts_of_sports_are_those_of_the_training_pictures() -> None:
    counted: dict[str, Counter[str]] = {row["label"]: Counter() for row in rows("sports")}
    for row in rows("environment_participation"):
        if row["part"] == "train":
            counted[row["file"].split("/")[1]].update(["seen", row["environment"], row["participation"]])
    for row in rows("sports"):
        for column in COLUMNS["sports"][3:]:
            assert int(row[column]) == counted[row["label"]][column], (row["label"], column)


def test_the_catalogue_knows_every_sport() -> None:
    catalogue = load_catalogue()
    labels = {row["label"] for row in rows("sports")}
    assert len(labels) == 159
    assert not [label for label in labels if catalogue.by_name(label) is None]
    assert {row["file"].split("/")[1] for row in rows("environment_participation")} <= labels


def test_corrections_turn_the_task_of_their_folder_round() -> None:
    for row in rows("is_sport"):
        assert is_picture(row["file"], {"sport", "negative"}), row
        assert row["is_sport"] == ("1" if row["file"].startswith("negative/") else "0"), row
