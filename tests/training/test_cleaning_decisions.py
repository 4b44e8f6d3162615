from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.training.cleaning_data import prepared_clouds
from training.cleaning.decisions import (
    DROP,
    KEEP,
    RELABEL,
    Decision,
    apply_decisions,
    read_decisions,
    write_decisions,
)
from training.cleaning.suspects import Suspect, drop_top
from training.errors import DataError
from training.pipeline import Prepared
from training.split import PARTS


def names(prepared: Prepared, part: str) -> list[str]:
    return [prepared.data.pictures[position].name for position in getattr(prepared.split, part).tolist()]


def test_decisions_survive_writing_and_reading(tmp_path: Path) -> None:
    decisions = [
        Decision("b, with a comma.png", RELABEL, "Beach volleyball", "Ada", 'it says "beach"'),
        Decision("a.png", KEEP),
        Decision("é.png", DROP, by="Ada", why="two\nlines"),
    ]
    write_decisions(tmp_path / "decisions.csv", decisions)
    assert read_decisions(tmp_path / "decisions.csv") == {one.file: one for one in decisions}
    assert list(read_decisions(tmp_path / "decisions.csv")) == ["a.png", "b, with a comma.png", "é.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na,b\n", "no column decision"),
        (
            "file,decision,label\na.png,remove,\n",
            "line 2: a.png: the decision is keep, relabel or drop, not 'remove'",
        ),
        ("file,decision,label\na.png,relabel,\n", "line 2: a.png: relabel needs the right label"),
        ("file,decision,label\na.png,relabel,flying saucers\n", "does not know the label 'flying saucers'"),
        ("file,decision,label\na.png,drop,chess\n", "drop takes no label"),
        ("file,decision,label\n,drop,\n", "line 2: there is no file"),
        ("file,decision,label\na.png,drop,\na.png,keep,\n", "line 3: a.png is decided twice"),
        ("file,decision,label\na,x,\nb,drop,\nc,y,\n", r"line 2: a.*; line 4: c"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "decisions.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_decisions(path)


def test_labels_of_products_are_those_of_their_taxonomy(tmp_path: Path) -> None:
    path = tmp_path / "decisions.csv"
    path.write_text("file,decision,label\na.png,relabel,weight bench\n", encoding="utf-8")
    assert read_decisions(path, "product")["a.png"].label == "weight bench"
    with pytest.raises(DataError, match="catalogue does not know the label 'weight bench'"):
        read_decisions(path)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_decisions(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"file,decision,label\n\xff\xfe,drop,\n")
    with pytest.raises(DataError, match="cannot be read"):
        read_decisions(tmp_path / "bytes.csv")


def test_decisions_change_training_and_leave_the_test_part_alone(tmp_path: Path) -> None:
    prepared, _ = prepared_clouds(tmp_path)
    dropped, relabelled = names(prepared, "train")[3], names(prepared, "validation")[1]
    in_test = names(prepared, "test")[0]
    chosen = [
        Decision(dropped, DROP),
        Decision(relabelled, RELABEL, "Chess"),
        Decision(names(prepared, "train")[5], KEEP),
        Decision(in_test, DROP),
        Decision("elsewhere.png", DROP),
    ]
    changed, counts = apply_decisions(prepared, {one.file: one for one in chosen})
    assert counts == {"kept": 1, "relabelled": 1, "dropped": 1, "in_test": 1, "not_in_data": 1}
    for part in PARTS:
        assert names(changed, part) == [name for name in names(prepared, part) if name != dropped]
    before = {picture.name: picture for picture in prepared.data.pictures}
    for position, picture in enumerate(changed.data.pictures):
        assert picture.label == ("Chess" if picture.name == relabelled else before[picture.name].label)
        original = prepared.data.pictures.index(before[picture.name])
        assert changed.groups[position] == prepared.groups[original]
    assert changed.data.fingerprint != prepared.data.fingerprint
    assert changed.classes == prepared.classes or set(changed.classes.ids) == set(prepared.classes.ids)
    features = changed.features(changed.split.train, ("original",), "avg+max")
    assert features.views.shape[1] == len(prepared.split.train) - 1


def test_the_test_part_is_changed_only_when_asked(tmp_path: Path) -> None:
    prepared, _ = prepared_clouds(tmp_path)
    in_test = names(prepared, "test")[0]
    changed, counts = apply_decisions(prepared, {in_test: Decision(in_test, DROP)}, on_test=True)
    assert counts["dropped"] == 1
    assert in_test not in {picture.name for picture in changed.data.pictures}
    untouched, counts = apply_decisions(prepared, {in_test: Decision(in_test, DROP)})
    assert counts == {"kept": 0, "relabelled": 0, "dropped": 0, "in_test": 1, "not_in_data": 0}
    assert untouched.data == prepared.data
    for part in PARTS:
        np.testing.assert_array_equal(getattr(untouched.split, part), getattr(prepared.split, part))


def test_a_sport_new_to_the_data_becomes_a_class(tmp_path: Path) -> None:
    prepared, _ = prepared_clouds(tmp_path)
    one = names(prepared, "train")[0]
    changed, _ = apply_decisions(prepared, {one: Decision(one, RELABEL, "Cricket")})
    assert "Cricket" in changed.classes.names
    assert len(changed.classes.ids) == len(prepared.classes.ids) + 1


def test_decisions_for_other_data_are_refused(tmp_path: Path) -> None:
    prepared, _ = prepared_clouds(tmp_path)
    with pytest.raises(DataError, match=r"None of the 1 decisions.*other/a\.png"):
        apply_decisions(prepared, {"other/a.png": Decision("other/a.png", DROP)})
    assert apply_decisions(prepared, {})[0].data == prepared.data


def test_a_class_is_never_emptied(tmp_path: Path) -> None:
    prepared, _ = prepared_clouds(tmp_path)
    chess = [picture.name for picture in prepared.data.pictures if picture.label == "chess"]
    with pytest.raises(DataError, match="no training picture of Chess"):
        apply_decisions(prepared, {name: Decision(name, DROP) for name in chess})


def test_dropping_without_a_person_spares_the_test_related_labels_and_small_classes() -> None:
    def suspect(file: str, label: str, *, part: str = "train", relation: str = "") -> Suspect:
        return Suspect(file, label, "judo", 0.1, 0.8, 0.85, relation, part, "made")

    suspects = [
        suspect("a", "chess", part="test"),
        suspect("b", "chess", relation="part"),
        suspect("c", "chess"),
        suspect("d", "boxing"),
        suspect("e", "chess", part="validation"),
        suspect("f", "chess"),
    ]
    labels = Counter({"chess": 8, "boxing": 5})
    assert [one.file for one in drop_top(suspects, labels.elements(), 2)] == ["c", "e"]
    assert [one.file for one in drop_top(suspects, labels.elements(), 9)] == ["c", "e", "f"]
    assert {one.decision for one in drop_top(suspects, labels.elements(), 9)} == {DROP}
