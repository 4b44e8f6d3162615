import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.cleaning.decisions import read_decisions
from training.data import Picture
from training.errors import DataError
from training.inspection.parts import read_parts as read_inspected_parts
from training.labelling import read_labels
from training.manifest import manifest_rows
from training.split_file import read_parts, read_places, read_split
from training.tables import csv_table
from training.targets import read_targets

PICTURE = Picture("a.png", Path("a.png"), "judo", "")
READERS: dict[str, Callable[[Path], Any]] = {
    "decisions": read_decisions,
    "manifest": lambda path: list(manifest_rows(path)),
    "parts": read_parts,
    "places": lambda path: read_places(path, [PICTURE]),
    "inspected parts": lambda path: read_inspected_parts(path, {"a.png"}, ["sport"]),
    "targets": lambda path: read_targets(path, path.parent),
}
HEADER = "file,label,decision,group,source,licence,part,targets:sport,why\n"
GOOD = "a.png,,drop,0,,,train,,\nb.png,,keep,1,,,validation,,\nc.png,,keep,2,,,test,,\n"


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "stray",
    [
        'd.png,,keep,3,,,train,,"too dark\ne.png,,keep,4,,,train,,\n',
        'd.png,,keep,3,,,train,,"too dark\ne.png,,keep,4,,,train,,"a ""dark"" one"\n',
        'd.png,,keep,3,,,train,,"too" dark\ne.png,,keep,4,,,train,,\n',
        'd.png,,keep,3,,,train,,"too dark\n' + "e.png,,keep,4,,,train,,\n" * 6000,
    ],
    ids=["to the end", "to another quote", "within a row", "beyond the longest field"],
)
def test_a_stray_quote_swallows_no_rows(tmp_path: Path, name: str, stray: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(HEADER + GOOD + stray, encoding="utf-8")
    with pytest.raises(DataError, match=r"table\.csv.*line 5.*quotation mark"):
        READERS[name](path)


@pytest.mark.parametrize("name", READERS)
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path, name: str) -> None:
    path = tmp_path / "table.csv"
    rows = GOOD.replace("png,,", "png,judo,") if name == "manifest" else GOOD
    path.write_text("\ufeff" + HEADER + rows, encoding="utf-8")
    READERS[name](path)


def test_quotes_that_are_right_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    values = ['it says "beach"', "two\nlines", "one, two", '"', 'a "stray', ""]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["why", "more"], *([value, "x"] for value in values)])
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write('he said "yes",x\r\n')
    with csv_table(path) as table:
        assert [row["why"] for row in table] == [*values, 'he said "yes"']


def test_a_stray_quote_in_the_header_is_named(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text('"file,label\na.png,judo\n')
    with pytest.raises(DataError, match=r"line 1.*quotation mark"):
        list(manifest_rows(tmp_path / "table.csv"))


def test_a_stray_quote_in_a_label_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "sports.csv").write_text('label,environment,participation\njudo,"indoor,single\n')
    with pytest.raises(DataError, match=r"sports\.csv.*line 2.*quotation mark"):
        read_labels(tmp_path)


def write_parts(path: Path, *parts: str) -> Path:
    rows = "".join(
        f"{name}.png,judo,,,{number},{part}\n"
        for number, (name, part) in enumerate(zip("abc", parts, strict=True))
    )
    path.write_text("file,label,source,licence,group,part\n" + rows)
    return path


def test_a_misspelt_part_is_named(tmp_path: Path) -> None:
    path = write_parts(tmp_path / "split.csv", "train", "tets", "test")
    pictures = [Picture(f"{name}.png", tmp_path / f"{name}.png", "judo", "") for name in "abc"]
    for read in (
        lambda: read_places(path, pictures),
        lambda: read_parts(path),
        lambda: read_split(path, tmp_path, "test"),
    ):
        with pytest.raises(
            DataError, match=r"split\.csv: b\.png is in the part 'tets'.*train, validation, test"
        ):
            read()


def test_a_list_of_all_pictures_may_name_parts_of_its_own(tmp_path: Path) -> None:
    path = write_parts(tmp_path / "split.csv", "one", "two", "three")
    for name in "abc":
        (tmp_path / f"{name}.png").touch()
    assert len(read_split(path, tmp_path, "all")) == 3


def test_places_of_a_right_table(tmp_path: Path) -> None:
    path = write_parts(tmp_path / "split.csv", "train", "validation", "test")
    parts, groups = read_places(path, [PICTURE])
    assert parts == ["train"]
    np.testing.assert_array_equal(groups, [0])
