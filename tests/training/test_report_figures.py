"""The report's figures on answers made up by hand."""

from pathlib import Path

import numpy as np
import pytest

from catalogue import load_catalogue
from training.data import Picture
from training.errors import DataError
from training.intervals import wilson
from training.metrics import NOT_ANSWERED
from training.report.asked import Asked, join
from training.report.by_class import class_rows, confused_pairs, surest_mistakes
from training.report.certainty import abstaining, calibration, calibration_of
from training.report.shares import mean_over_classes, segments, share_of
from training.served import Answers
from training.split_file import read_places


def id_of(name: str) -> str:
    sport = load_catalogue().by_name(name)
    assert sport is not None
    return sport.id


TENNIS, CRICKET, GOLF = id_of("Tennis"), id_of("Cricket"), id_of("Golf")
NAMES = {TENNIS: "Tennis", CRICKET: "Cricket", GOLF: "Golf"}


def asked_for(rows: list[tuple[str, str, list[str], float, int]]) -> Asked:
    """Rows of label, source, answered ids, first probability, group."""
    pictures = [
        Picture(f"{number}.png", Path(f"{number}.png"), label, "", source)
        for number, (label, source, *_) in enumerate(rows)
    ]
    probabilities = np.array([[row[3], 0.0, 0.0] for row in rows], np.float32)
    groups = np.array([row[4] for row in rows], np.int64)
    return join(pictures, groups, Answers([row[2] for row in rows], probabilities, dict(NAMES)))


@pytest.fixture
def asked() -> Asked:
    return asked_for(
        [
            ("tennis", "main", [TENNIS, GOLF, CRICKET], 0.9, 0),
            ("tennis", "main", [TENNIS, GOLF, CRICKET], 0.8, 0),
            ("tennis", "main", [CRICKET, TENNIS, GOLF], 0.7, 1),
            ("tennis", "web", [CRICKET, GOLF], 0.6, 2),
            ("Cricket", "web", [CRICKET, TENNIS, GOLF], 0.5, 3),
            ("Cricket", "", [GOLF, TENNIS, CRICKET], 0.4, 4),
        ]
    )


def test_ranks_and_confidences(asked: Asked) -> None:
    assert asked.ranks.tolist() == [0, 0, 1, NOT_ANSWERED, 0, 2]
    assert asked.confidences.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])


def test_a_share_of_nothing_has_no_value() -> None:
    assert share_of(0, 0) == {"right": 0, "of": 0, "share": None, "wilson": [0.0, 1.0]}


def test_main_set_rest_and_sources(asked: Asked) -> None:
    rows = segments(asked, ["main"])
    assert [(row["name"], row["kind"], row["pictures"], row["groups"]) for row in rows] == [
        ("All pictures", "all", 6, 5),
        ("Main set", "main", 3, 2),
        ("Rest", "rest", 3, 3),
        ("main", "source", 3, 2),
        ("web", "source", 2, 2),
        ("No source told", "source", 1, 1),
    ]
    assert [rows[0][top]["right"] for top in ("top1", "top3", "top5")] == [3, 5, 5]
    assert rows[1]["top1"]["share"] == 0.6667
    assert rows[1]["top1"]["wilson"] == [round(end, 4) for end in wilson(2, 3)]
    # Two groups, one right twice and one wrong once: drawn twice, once each, or the other twice.
    assert rows[1]["top1"]["bootstrap"] == [0.0, 1.0]
    assert [row["kind"] for row in segments(asked, [])] == ["all", "source", "source", "source"]


def test_classes_count_alike_in_their_mean(asked: Asked) -> None:
    # Tennis 2 of 4 and 3 of 4, Cricket 1 of 2 and 2 of 2.
    assert mean_over_classes(asked) == {"top1": 0.5, "top3": 0.875, "top5": 0.875}


def test_precision_and_recall_by_hand(asked: Asked) -> None:
    rows = {row["name"]: row for row in class_rows(asked, {TENNIS: 200, CRICKET: 29})}
    assert list(rows) == ["Tennis", "Cricket", "Golf"]
    tennis, cricket, golf = rows.values()
    assert (tennis["pictures"], tennis["answered"]) == (4, 2)
    assert (tennis["recall"]["share"], tennis["precision"]["share"]) == (0.5, 1.0)
    assert (cricket["recall"]["right"], cricket["recall"]["of"]) == (1, 2)
    assert (cricket["precision"]["right"], cricket["precision"]["of"]) == (1, 3)
    assert tennis["taken_for"] == {"name": "Cricket", "pictures": 2}
    assert tennis["top3"]["right"] == 3
    # Never a truth: no recall, but an answer, so a precision.
    assert (golf["recall"]["share"], golf["precision"]["share"], golf["taken_for"]) == (None, 0.0, None)
    assert [row["low_evidence"] for row in rows.values()] == [False, True, True]
    assert all(row["low_evidence"] is None for row in class_rows(asked, None))


def test_confused_pairs_show_their_surest_pictures_first(asked: Asked) -> None:
    first, second = confused_pairs(asked)
    assert (first["truth"], first["answer"], first["pictures"], first["share"]) == (
        "Tennis",
        "Cricket",
        2,
        0.5,
    )
    assert [one["file"] for one in first["examples"]] == ["2.png", "3.png"]
    assert (second["truth"], second["answer"]) == ("Cricket", "Golf")
    assert [one["file"] for one in surest_mistakes(asked)] == ["2.png", "3.png", "5.png"]
    assert surest_mistakes(asked)[0]["answer"] == "Cricket"


def test_pairs_of_one_family_are_told() -> None:
    catalogue = load_catalogue()
    part = next(sport for sport in catalogue.sports if sport.parent is not None)
    parent = catalogue.ancestors(part)[0]
    asked = asked_for([(part.name, "", [TENNIS], 0.9, 0), (parent.name, "", [part.id], 0.9, 1)])
    asked.names[part.id] = part.name
    assert {(row["answer"], row["related"]) for row in confused_pairs(asked)} == {
        ("Tennis", False),
        (part.name, True),
    }


def test_calibration_with_and_without_the_temperature(asked: Asked) -> None:
    main = np.array([True] * 3 + [False] * 3)
    found = calibration_of(asked, main, 0.5, np.full(6, 0.5))
    assert found["without_temperature"]["error"] == 0.0, "half of the answers are right"
    # Each answer has its own bin of 15: the sizes of 0.9-1, 0.8-1, 0.7-0, 0.6-0, 0.5-1, 0.4-0.
    assert found["served"]["error"] == pytest.approx((0.1 + 0.2 + 0.7 + 0.6 + 0.5 + 0.4) / 6, abs=1e-4)
    assert [part["name"] for part in found["parts"]] == ["Main set", "Rest"]
    assert sum(one["pictures"] for one in found["served"]["bins"]) == 6
    alone = calibration_of(asked, None, None, None)
    assert (alone["parts"], alone["without_temperature"]) == ([], None)
    assert calibration(asked.confidences, asked.right)["accuracy"] == 0.5


def test_abstaining_by_hand(asked: Asked) -> None:
    found = abstaining(asked.confidences, asked.right)
    rows = {row["threshold"]: row for row in found["thresholds"]}
    assert rows[0.0]["answered"] == 6
    assert (rows[0.7]["answered"], rows[0.7]["coverage"], rows[0.7]["accuracy"]["right"]) == (3, 0.5, 2)
    assert rows[0.95]["accuracy"]["share"] is None
    # Risks among the first 1 to 6 answers: 0, 0, 1/3, 2/4, 2/5, 3/6.
    assert [point["risk"] for point in found["curve"]] == [0.0, 0.0, 0.3333, 0.5, 0.4, 0.5]
    assert found["area"] == pytest.approx((1 / 3 + 2 / 4 + 2 / 5 + 3 / 6) / 6, abs=1e-4)


def test_answers_of_one_probability_are_given_together() -> None:
    found = abstaining(np.full(4, 0.5), np.array([True, False, True, True]))
    assert found["curve"] == [{"coverage": 1.0, "risk": 0.25, "threshold": 0.5}]


def test_groups_come_from_the_split(asked: Asked, tmp_path: Path) -> None:
    split = tmp_path / "split.csv"
    split.write_text("file,group,part\n" + "".join(f"{n}.png,{10 - n},test\n" for n in range(6)))
    assert read_places(split, asked.pictures)[1].tolist() == [10, 9, 8, 7, 6, 5]
    split.write_text("file,group,part\n0.png,1,test\n")
    with pytest.raises(DataError, match="no split"):
        read_places(split, asked.pictures)


def test_no_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="no pictures"):
        join([], np.empty(0, np.int64), Answers([], np.empty((0, 0), np.float32), {}))
