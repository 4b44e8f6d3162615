import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.pictures import coloured_noise, png
from training.cleaning.decisions import DROP, RELABEL, Decision
from training.data import Dataset
from training.labelling import Labels, write_all_targets
from training.settings import TrainSettings


def apart(data: Dataset, *_: object) -> tuple[Dataset, NDArray[np.int64]]:
    """In place of features: each picture is like its copies alone."""
    return data, np.unique([one.digest for one in data.pictures], return_inverse=True)[1]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest in which one file, `both.png`, is of a sport and a product."""
    monkeypatch.setattr("training.labelling.embed_and_group", apart)
    names = ["both.png", "negative.png", "product.png", "sport.png", "third.png"]
    for seed, name in enumerate(names):
        (tmp_path / name).write_bytes(png(coloured_noise((200, 120, 60), seed)))
    rows = "both.png,judo,,sport\nboth.png,racket,Tennis,product\nnegative.png,room,,negative\n"
    rows += "product.png,skateboard,,product\nsport.png,chess,,sport\nthird.png,squash,,sport\n"
    (tmp_path / "m.csv").write_text("file,label,group,task\n" + rows)
    return tmp_path


def written(place: Path, decisions: dict[str, dict[str, Decision]]) -> list[dict[str, str]]:
    table, settings = place / "targets.csv", TrainSettings(validation=0, test=0)
    labels = Labels({}, {}, {})
    write_all_targets(place / "m.csv", place, place / "cache", table, settings, labels, decisions=decisions)
    with table.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["file"] == "both.png"]


def test_a_file_of_two_tasks_has_a_row_for_each(place: Path) -> None:
    sport, product = written(place, {})
    assert (sport["task"], sport["label"], product["task"], product["label"]) == (
        "sport",
        "judo",
        "product",
        "racket",
    )
    assert sport["targets:sport"]
    assert not sport["targets:product_type"]
    assert product["targets:product_type"]
    assert not product["targets:sport"]
    assert sport["part"] == product["part"]


def test_a_decision_is_about_its_task_alone(place: Path) -> None:
    group = written(place, {})[1]["targets:product_group"]
    assert group
    sport, product = written(place, {"sport": {"both.png": Decision("both.png", RELABEL, "chess")}})
    assert (sport["label"], product["label"]) == ("chess", "racket")
    assert product["targets:product_group"] == group
    (left,) = written(place, {"sport": {"both.png": Decision("both.png", DROP)}})
    assert left["task"] == "product"
