import dataclasses
import datetime as dt
import os
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.pictures import COLOURS, coloured_noise, png, write_class_folders
from training.data import read_class_folders, read_manifest, with_digests
from training.errors import DataError


def write_manifest(path: Path, rows: list[str], header: str = "file,label,task,source,licence") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_class_folders_give_labels_by_folder(tmp_path: Path) -> None:
    data = read_class_folders(write_class_folders(tmp_path, each=2))
    assert data.labels == tuple(sorted(COLOURS))
    assert [picture.name for picture in data.pictures][:2] == ["baseball/000.png", "baseball/001.png"]
    assert len({picture.digest for picture in data.pictures}) == 6


def test_class_folders_pass_over_other_files_and_report_empty_ones(tmp_path: Path) -> None:
    write_class_folders(tmp_path, each=1)
    (tmp_path / "tennis" / "notes.txt").write_text("not a picture")
    (tmp_path / "tennis" / "empty.jpg").touch()
    (tmp_path / "loose.png").write_bytes(png(coloured_noise((1, 2, 3), 0)))
    data = read_class_folders(tmp_path)
    assert len(data.pictures) == 3
    assert data.problems == ("tennis/empty.jpg: the file is empty",)


def test_a_deeper_folder_belongs_to_its_class(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "in", each=1)
    (tmp_path / "in" / "tennis" / "2020").mkdir()
    (tmp_path / "in" / "tennis" / "2020" / "x.PNG").write_bytes(png(coloured_noise((1, 2, 3), 0)))
    labels = {picture.name: picture.label for picture in read_class_folders(tmp_path / "in").pictures}
    assert labels["tennis/2020/x.PNG"] == "tennis"


@pytest.mark.parametrize("make", [True, False])
def test_no_pictures_at_all_is_an_error(tmp_path: Path, make: bool) -> None:
    root = tmp_path / "data"
    if make:
        root.mkdir()
    with pytest.raises(DataError, match="data"):
        read_class_folders(root)


def test_manifest_takes_the_rows_of_its_task(tmp_path: Path) -> None:
    write_class_folders(tmp_path, each=1)
    manifest = write_manifest(
        tmp_path / "m.csv",
        [
            "tennis/000.png,tennis,sport,web,CC0",
            "cricket/000.png,cricket,sport,,",
            "baseball/000.png,ball,product,web,CC0",
            "tennis/gone.png,tennis,sport,web,CC0",
        ],
    )
    data = read_manifest(manifest, tmp_path, task="sport")
    assert [(p.label, p.source, p.licence) for p in data.pictures] == [
        ("cricket", "", ""),
        ("tennis", "web", "CC0"),
    ]
    assert data.problems == ("tennis/gone.png: No such file or directory",)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("file,task", ["a.png,sport"], "no column label"),
        ("file,label,task", ["a.png,,sport"], "line 2: a.png has no label"),
        ("file,label,task", [",x,sport"], "line 2: the row has no file"),
        ("file,label,task", ["a.png,x,product"], r"no rows of task 'sport' in .* \(it has 'product'\)"),
        (
            "file,label,task",
            ["a.png,x,sport", "a.png,y,sport"],
            "line 3: a.png is labelled 'y', but 'x' in line 2",
        ),
        ("file,label,task", ["a.png,x,sport"], "first problem: a.png"),
    ],
)
def test_a_bad_manifest_is_named(tmp_path: Path, header: str, rows: list[str], message: str) -> None:
    manifest = write_manifest(tmp_path / "m.csv", rows, header)
    with pytest.raises(DataError, match=message):
        read_manifest(manifest, tmp_path, task="sport")


def test_a_missing_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path / "none.csv", tmp_path, task="sport")


def test_the_fingerprint_follows_contents_and_labels(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, each=2)
    before = read_class_folders(root).fingerprint
    assert read_class_folders(root).fingerprint == before
    (root / "tennis" / "000.png").write_bytes(png(coloured_noise((9, 9, 9), 7)))
    assert read_class_folders(root).fingerprint != before


def write_parquet(path: Path, **columns: list[Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_a_parquet_manifest_gives_the_same_data_as_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.manifest._ROWS_AT_ONCE", 2)
    write_class_folders(tmp_path, each=2)
    names = ["tennis/000.png", "cricket/000.png", "tennis/001.png", "baseball/000.png", "tennis/000.png"]
    labels = ["tennis", "cricket", "tennis", "ball", "tennis"]
    tasks = ["sport", "sport", "sport", "product", "sport"]
    sources = ["web", None, "web", "", "web"]
    parquet = write_parquet(
        tmp_path / "m.parquet", file=names, label=labels, task=tasks, source=sources, extra=[1] * 5
    )
    rows = [",".join([*row[:3], row[3] or ""]) for row in zip(names, labels, tasks, sources, strict=True)]
    written = write_manifest(tmp_path / "m.csv", rows, "file,label,task,source")
    data = read_manifest(parquet, tmp_path, task="sport")
    assert data == read_manifest(written, tmp_path, task="sport")
    assert len(data.pictures) == 3
    assert data.pictures[0].source == ""
    parquet.rename(tmp_path / "without-suffix")
    assert read_manifest(tmp_path / "without-suffix", tmp_path, task="sport") == data


def test_a_parquet_manifest_of_categories_and_numbers(tmp_path: Path) -> None:
    write_class_folders(tmp_path, each=1)
    category = pa.array(["tennis/000.png"]).dictionary_encode()
    manifest = write_parquet(tmp_path / "m.parquet", file=category, label=[7])
    assert [one.label for one in read_manifest(manifest, tmp_path, task="sport").pictures] == ["7"]


def test_a_bad_parquet_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no column label.*Found: file, task"):
        read_manifest(
            write_parquet(tmp_path / "m.parquet", file=["a"], task=["sport"]), tmp_path, task="sport"
        )
    with pytest.raises(DataError, match="row 2: b has no label"):
        read_manifest(
            write_parquet(tmp_path / "m.pq", file=["a", "b"], label=["x", None]), tmp_path, task="sport"
        )
    (tmp_path / "csv.parquet").write_text("file,label,task\n")
    with pytest.raises(DataError, match="is no Parquet file"):
        read_manifest(tmp_path / "csv.parquet", tmp_path, task="sport")
    whole = (tmp_path / "m.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.parquet is no Parquet file, or a damaged one"):
        read_manifest(tmp_path / "cut.parquet", tmp_path, task="sport")


def test_without_pyarrow_a_parquet_manifest_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_parquet(tmp_path / "m.parquet", file=["a"], label=["x"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="needs the package pyarrow"):
        read_manifest(manifest, tmp_path, task="sport")


def test_a_manifest_without_tasks_is_one_task(tmp_path: Path) -> None:
    write_class_folders(tmp_path, each=1)
    manifest = tmp_path / "m.csv"
    manifest.write_text("\ufefffile,label\ntennis/000.png,tennis\n", encoding="utf-8")
    assert read_manifest(manifest, tmp_path, task="anything").labels == ("tennis",)


def test_classes_without_a_picture_are_named(tmp_path: Path) -> None:
    write_class_folders(tmp_path, each=1)
    (tmp_path / "judo").mkdir()
    (tmp_path / ".hidden").mkdir()
    data = read_class_folders(tmp_path)
    assert data.empty == ("judo",)
    assert data.problems == ("judo: the class has no picture",)
    assert data.without({}) == data
    manifest = write_manifest(tmp_path / "m.csv", ["tennis/000.png,tennis,sport,,", "gone.png,judo,sport,,"])
    assert read_manifest(manifest, tmp_path, task="sport").empty == ("judo",)


def test_digests_of_listed_pictures(tmp_path: Path) -> None:
    pictures = read_class_folders(write_class_folders(tmp_path, each=1)).pictures
    listed = [dataclasses.replace(one, digest="") for one in pictures]
    assert with_digests(listed) == list(pictures)
    listed[0].path.unlink()
    with pytest.raises(DataError, match=r"000\.png cannot be read: No such file"):
        with_digests(listed)


def test_a_name_that_is_not_utf8_is_left_out_and_named(tmp_path: Path) -> None:
    write_class_folders(tmp_path, each=1)
    picture = png(coloured_noise((1, 2, 3), 0))
    (tmp_path / "tennis" / os.fsdecode(b"caf\xe9.png")).write_bytes(picture)
    (tmp_path / os.fsdecode(b"\xe9quitation")).mkdir()
    (tmp_path / os.fsdecode(b"\xe9quitation") / "a.png").write_bytes(picture)
    (tmp_path / os.fsdecode(b"\xe8mpty")).mkdir()
    data = read_class_folders(tmp_path)
    assert data.labels == tuple(sorted(COLOURS))
    assert data.problems == (
        r"tennis/caf\xe9.png: its name is not UTF-8; rename it",
        r"\xe9quitation/a.png: its name is not UTF-8; rename it",
    )
    assert len(data.fingerprint) == 64


def test_a_nul_in_a_name_of_a_manifest_is_a_problem_of_its_row(tmp_path: Path) -> None:
    write_class_folders(tmp_path, each=1)
    rows = ["tennis/000.png,tennis,sport,,", "tennis/\0.png,tennis,sport,,"]
    data = read_manifest(write_manifest(tmp_path / "m.csv", rows), tmp_path, task="sport")
    assert [one.name for one in data.pictures] == ["tennis/000.png"]
    assert data.problems == ("tennis/\0.png: no file's name has a NUL character in it",)


def test_links_to_folders_are_followed_but_never_back(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path / "data", each=1)
    for name in ("linked", "whole class"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "x.png").write_bytes(png(coloured_noise((1, 2, 3), 0)))
    (root / "tennis" / "more").symlink_to(tmp_path / "linked")
    (root / "tennis" / "again").symlink_to(tmp_path / "linked" / "deep")
    (root / "judo").symlink_to(tmp_path / "whole class")
    (root / "tennis" / "one.png").symlink_to(tmp_path / "linked" / "deep" / "x.png")
    (tmp_path / "linked" / "deep" / "back").symlink_to(tmp_path / "linked")
    (root / "cricket" / "all").symlink_to(root)
    (root / "cricket" / "self").symlink_to(root / "cricket" / "self")
    data = read_class_folders(root)
    assert [one.name for one in data.pictures] == [
        "baseball/000.png",
        "cricket/000.png",
        "judo/deep/x.png",
        "tennis/000.png",
        "tennis/again/x.png",
        "tennis/more/deep/x.png",
        "tennis/one.png",
    ]
    back = "the link leads back to a folder above it"
    assert data.problems == (
        f"cricket/all: {back}",
        f"tennis/again/back/deep: {back}",
        f"tennis/more/deep/back: {back}",
    )


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (b"tennis", "tennis"),
        ("caf\u00e9".encode(), "caf\u00e9"),
        (7, "7"),
        (7.0, "7"),
    ],
)
def test_values_of_a_parquet_manifest_are_spelled_as_in_csv(
    tmp_path: Path, label: Any, expected: str
) -> None:
    write_class_folders(tmp_path, each=1)
    manifest = write_parquet(
        tmp_path / "m.parquet", file=[b"tennis/000.png"], label=[label], source=[float("nan")]
    )
    (picture,) = read_manifest(manifest, tmp_path, task="sport").pictures
    assert (picture.name, picture.label, picture.source) == ("tennis/000.png", expected, "")


def test_a_missing_label_that_pandas_writes_as_a_number_is_missing(tmp_path: Path) -> None:
    manifest = write_parquet(tmp_path / "m.parquet", file=["a.png"], label=[float("nan")])
    with pytest.raises(DataError, match=r"row 1: a\.png has no label"):
        read_manifest(manifest, tmp_path, task="sport")


@pytest.mark.parametrize("label", [["tennis"], {"name": "tennis"}, 0.5, True, b"\xff", dt.date(2026, 1, 1)])
def test_values_of_a_parquet_manifest_that_are_no_text_are_named(tmp_path: Path, label: Any) -> None:
    manifest = write_parquet(tmp_path / "m.parquet", file=["a.png"], label=[label])
    with pytest.raises(DataError, match=r"m\.parquet, row 1: its label is .* Give text"):
        read_manifest(manifest, tmp_path, task="sport")
