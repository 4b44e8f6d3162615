from pathlib import Path

import pytest

from tests.training.pictures import COLOURS, coloured_noise, png, write_class_folders
from training.data import read_class_folders, read_manifest
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
        ("file,label,task", ["a.png,x,product"], "no rows of task 'sport'"),
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
