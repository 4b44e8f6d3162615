import copy
import json
from pathlib import Path
from typing import Any

from training.ablation import ablation_table, digest_of, earlier_versions, kind_of
from training.data import Picture

HEAD_CARD: dict[str, Any] = {
    "settings": {
        "backbone": {"name": "MobileNetV2"},
        "seed": 0,
        "validation": 0.1,
        "test": 0.1,
        "hash_distance": 6,
        "cosine": 0.8,
    },
    "data": {"fingerprint": "abc", "parts": {"train": 80, "validation": 10, "test": 10}},
    "chosen": {"top1": 0.8, "top3": 0.9},
    "trained_on": {"pictures": 90, "validation_included": True},
    "metrics": {"all": {"top1": {"share": 0.81}, "top3": {"share": 0.91}}},
}
STAGE: dict[str, Any] = {
    "settings": {"height": 160, "width": 128, "unfreeze": "block_6"},
    "best_epoch": 4,
    "validation_included": False,
    "after": {"validation_top1": 0.855, "validation_top3": 0.955},
}
LAST_STAGE: dict[str, Any] = {
    "settings": {"height": 224, "width": 224, "unfreeze": ""},
    "best_epoch": 5,
    "validation_included": True,
    "after": {"epoch": 5},
}


def tuned_card() -> dict[str, Any]:
    card = copy.deepcopy(HEAD_CARD)
    card["finetuning"] = [STAGE, LAST_STAGE]
    card["metrics"] = {"all": {"top1": {"share": 0.9}, "top3": {"share": 0.97}}}
    return card


def write(directory: Path, name: str, card: dict[str, Any]) -> None:
    (directory / name).mkdir(parents=True)
    (directory / name / "card.json").write_text(json.dumps(card))


def test_versions_tell_whether_they_were_measured_on_the_same_pictures(tmp_path: Path) -> None:
    other = copy.deepcopy(HEAD_CARD)
    other["data"]["fingerprint"] = "xyz"
    write(tmp_path, "10", HEAD_CARD)
    write(tmp_path, "9", other)
    write(tmp_path, ".draft-1", HEAD_CARD)
    (tmp_path / "11").mkdir()
    rows = earlier_versions(tmp_path, tuned_card())
    assert [(row["version"], row["same_test_part"]) for row in rows] == [(9, False), (10, True)]
    assert (rows[1]["top1"], rows[1]["top3"]) == (0.81, 0.91)
    assert earlier_versions(tmp_path / "none", tuned_card()) == []


def pictures(*labels: str) -> list[Picture]:
    return [Picture(f"{number}.png", Path(f"{number}.png"), label, "") for number, label in enumerate(labels)]


def test_a_test_part_is_the_same_when_it_asks_the_same(tmp_path: Path) -> None:
    asked = pictures("judo", "chess", "judo")
    digest = digest_of(asked)
    assert digest_of(reversed(asked)) == digest
    assert digest_of(asked[:2]) != digest
    assert digest_of(pictures("judo", "chess", "chess")) != digest
    # By another seed of `targets`, which no setting tells; and of other training pictures, with the same test part.
    write(tmp_path, "1", {**HEAD_CARD, "test_part": digest_of(asked[:2])})
    grown = copy.deepcopy(HEAD_CARD)
    grown["data"]["fingerprint"] = "grown"
    write(tmp_path, "2", {**grown, "test_part": digest})
    rows = earlier_versions(tmp_path, {**tuned_card(), "test_part": digest})
    assert [row["same_test_part"] for row in rows] == [False, True]


def test_an_older_card_without_a_digest_is_compared_by_how_its_part_was_drawn(tmp_path: Path) -> None:
    write(tmp_path, "1", HEAD_CARD)
    (row,) = earlier_versions(tmp_path, {**tuned_card(), "test_part": "digest"})
    assert row["same_test_part"]


def test_a_table_has_a_row_for_each_step_with_dashes_where_nothing_was_measured(tmp_path: Path) -> None:
    write(tmp_path, "1", HEAD_CARD)
    card = tuned_card()
    table = ablation_table({**card, "earlier_versions": earlier_versions(tmp_path, card)})
    assert [line for line in table if line.startswith("| ")][1:] == [
        "| version 1: MobileNetV2, frozen, with a trained head, 90 pictures | – | – | 81.0% | 91.0% |",
        "| the head this started from | 80.0% | 90.0% | – | – |",
        "| fine-tuned from `block_6` on at 160 x 128, 4 epochs | 85.5% | 95.5% | – | – |",
        "| fine-tuned from the first layer on at 224 x 224, 5 epochs, validation part included | – | – | – | – |",
        "| this version | – | – | 90.0% | 97.0% |",
    ]


def test_a_first_version_of_one_step_has_no_table() -> None:
    assert ablation_table(HEAD_CARD) == []
    assert kind_of(HEAD_CARD) == "MobileNetV2, frozen, with a trained head"
    assert kind_of(tuned_card()).endswith("then fine-tuned (2 stages)")
