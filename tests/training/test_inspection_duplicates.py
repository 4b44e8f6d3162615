import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.training.pictures import coloured_noise, png
from training.data import Picture
from training.hashing import difference_hashes, hash_pictures
from training.inspection.command import read_tasks
from training.inspection.duplicates import find_copies, find_near_pairs
from training.inspection.likeness import likeness
from training.inspection.measure import inspect
from training.inspection.parts import Parts
from training.records import serialised_example
from training.shards import write_frame


def picture(place: Path, name: str, pixels: np.ndarray, label: str = "judo") -> Picture:
    path = place / name
    path.write_bytes(png(pixels))
    return Picture(name, path, label, name)


def made_up(names: list[str], labels: list[str], digests: list[str]) -> list[Picture]:
    return [Picture(*row) for row in zip(names, [Path()] * len(names), labels, digests, strict=True)]


def no_likeness(_: object, pairs: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    return np.ones(len(pairs))


def test_copies_are_ordered_by_gravity() -> None:
    pictures = made_up(
        list("abcdefg"), ["x", "x", "x", "x", "x", "y", "x"], ["1", "1", "2", "2", "3", "3", "4"]
    )
    found = find_copies(pictures, {"c": "train", "d": "test", "a": "train", "b": "train"})
    assert [one.positions for one in found] == [(4, 5), (2, 3), (0, 1)]
    assert found[0].labels == ("x", "y")
    assert found[1].parts == ("test", "train")
    assert found[2].parts == ("train",)


def of_tasks(*rows: tuple[str, str, str, str]) -> list[Picture]:
    """Pictures of name, task, label and digest."""
    return [
        Picture(name, Path(), f"{task}: {label}", digest, task=task) for name, task, label, digest in rows
    ]


def test_a_file_of_two_tasks_is_no_copy_of_itself() -> None:
    assert find_copies(of_tasks(("a", "product", "ball", "1"), ("a", "sport", "judo", "1")), {}) == []


def test_copies_conflict_within_a_task_alone() -> None:
    pictures = of_tasks(
        ("a", "product", "ball", "1"),
        ("a", "sport", "judo", "1"),
        ("b", "sport", "judo", "1"),
        ("c", "product", "ball", "2"),
        ("c", "sport", "judo", "2"),
        ("d", "sport", "chess", "2"),
        ("e", "product", "ball", "3"),
        ("f", "sport", "judo", "3"),
    )
    found = find_copies(pictures, {})
    assert [(one.files, one.conflict) for one in found] == [
        (("c", "d"), True),
        (("a", "b"), False),
        (("e", "f"), False),
    ]


def test_near_pictures_differ_in_their_labels_within_a_task_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.inspection.duplicates.likeness", no_likeness)
    one = 0xF0F0_F0F0_F0F0_F0F0
    hashes = {"1": (one, 0), "2": (one ^ 1, 0)}
    product, sport = ("a", "product", "ball", "1"), ("a", "sport", "judo", "1")
    for others, positions, differ in (
        ([("b", "sport", "judo", "2")], [1, 2], False),
        ([("b", "sport", "chess", "2")], [1, 2], True),
        ([("b", "negative", "room", "2")], [0, 2], False),
        ([("b", "product", "ball", "2"), ("b", "sport", "chess", "2")], [1, 3], True),
    ):
        found = find_near_pairs(of_tasks(product, sport, *others), hashes, {}, distance=6)
        assert (found.positions.tolist(), found.other_label.tolist()) == ([positions], [differ])


def test_a_report_of_several_tasks_tells_a_file_once(tmp_path: Path) -> None:
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        (tmp_path / name).write_bytes(png(coloured_noise((200, 120, 60), seed)))
    rows = "a.png,judo,sport\na.png,ball,product\nb.png,judo,sport\nc.png,judo,sport\nc.png,ball,product\n"
    (tmp_path / "m.csv").write_text("file,label,task\n" + rows)
    data = read_tasks(tmp_path, tmp_path / "m.csv", ["product", "sport"])
    copies = inspect(data, Parts(), tmp_path / "cache", distance=6).report["copies"]
    assert {key: value for key, value in copies.items() if key != "listed"} == {
        "groups": 1,
        "surplus": 1,
        "conflicts": 0,
        "across_parts": 0,
    }
    assert copies["listed"][0]["files"] == [
        {"file": "a.png", "label": "product: ball, sport: judo"},
        {"file": "b.png", "label": "sport: judo"},
    ]


def test_examples_without_a_task_are_of_the_one_that_is_looked_at(tmp_path: Path) -> None:
    with (tmp_path / "a.tfrecord").open("wb") as file:
        for name, label, task in (("a", "judo", "sport"), ("b", "chess", "")):
            told = {"task": task}
            write_frame(
                file, serialised_example(b"x", name=name, label=label, number=0, told=told, form=None)
            )
    (copy,) = find_copies(read_tasks(tmp_path, None, ["sport"]).pictures, {})
    assert copy.conflict


def test_a_pair_is_named_once_with_its_fewest_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.inspection.duplicates.likeness", no_likeness)
    one = 0xF0F0_F0F0_F0F0_F0F0
    pictures = made_up(["a", "b", "c"], ["x", "y", "x"], ["1", "2", "3"])
    # b is three bits from a, and its mirror image two; c is far from both.
    hashes = {
        "1": (one, 0x1234_5678),
        "2": (one ^ 0b111, one ^ 0b11),
        "3": (0xFFFF_0000_0F0F_3C3C, 0xAAAA_5555),
    }
    found = find_near_pairs(pictures, hashes, {}, distance=6)
    assert found.positions.tolist() == [[0, 1]]
    assert found.bits.tolist() == [2]
    assert found.mirrored.tolist() == [True]
    assert found.other_label.tolist() == [True]
    assert found.across.tolist() == [False]


def test_bits_never_exceed_the_distance_even_when_the_mirror_images_disagree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.inspection.duplicates.likeness", no_likeness)
    random = np.random.default_rng(0)
    # Many level neighbours: these count as not brighter from either side, so mirroring is not symmetric.
    pixels = np.repeat(random.integers(0, 4, (300, 8, 9, 1), np.uint8) * 60, 3, axis=3)
    pictures = made_up([str(n) for n in range(300)], ["x"] * 300, [str(n) for n in range(300)])
    hashes = {str(number): difference_hashes(one) for number, one in enumerate(pixels)}
    found = find_near_pairs(pictures, hashes, {}, distance=17)
    assert len(found.bits) > 20
    assert found.bits.max() <= 17
    assert (found.positions[:, 0] < found.positions[:, 1]).all()
    assert len(np.unique(found.positions, axis=0)) == len(found.positions)


def test_copies_of_a_near_duplicate_in_another_part_make_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.inspection.duplicates.likeness", no_likeness)
    pictures = made_up(["a", "b", "copy of b"], ["x"] * 3, ["1", "2", "2"])
    one = 0xF0F0_F0F0_F0F0_F0F0
    hashes = {"1": (one, 0), "2": (one ^ 1, 0)}
    within = find_near_pairs(pictures, hashes, {"a": "train", "b": "train"}, distance=6)
    assert within.across.tolist() == [False]
    across = find_near_pairs(pictures, hashes, {"a": "train", "b": "train", "copy of b": "test"}, distance=6)
    assert across.across.tolist() == [True]


def test_plain_pictures_are_no_pairs(tmp_path: Path) -> None:
    flat = [np.full((40, 40, 3), value, np.uint8) for value in (10, 200)]
    pictures = [picture(tmp_path, f"{number}.png", pixels) for number, pixels in enumerate(flat)]
    hashes, unreadable = hash_pictures(pictures, tmp_path / "cache")
    assert unreadable == {}
    found = find_near_pairs(pictures, hashes, {}, distance=6)
    assert (len(found.bits), found.plain) == (0, 2)


def test_nothing_has_no_pairs() -> None:
    found = find_near_pairs([], {}, {}, distance=6)
    assert (len(found.bits), found.plain) == (0, 0)


def test_likeness_is_one_for_the_same_and_low_for_others(tmp_path: Path) -> None:
    pixels = coloured_noise((200, 120, 60), 1)
    brighter = np.clip(pixels.astype(float) * 1.2 + 10, 0, 255).astype(np.uint8)
    pictures = [
        picture(tmp_path, "same.png", pixels),
        picture(tmp_path, "brighter.png", brighter),
        picture(tmp_path, "mirrored.png", pixels[:, ::-1]),
        picture(tmp_path, "other.png", coloured_noise((200, 120, 60), 2)),
        picture(tmp_path, "flat.png", np.full((40, 40, 3), 99, np.uint8)),
    ]
    gone = dataclasses.replace(pictures[0], path=tmp_path / "gone.png")
    pairs = np.array([[0, 1], [0, 2], [0, 2], [0, 3], [0, 4], [0, 5]])
    found = likeness([*pictures, gone], pairs, np.array([False, True, False, False, False, False]))
    assert found[0] > 0.99
    assert found[1] == pytest.approx(1.0)
    assert found[2] < 0.5
    assert found[3] < 0.5
    assert found[4:].tolist() == [0.0, 0.0]
