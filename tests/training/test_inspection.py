import dataclasses
import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training.inspected import write_split, write_troubled_folders
from tests.training.pictures import png, write_class_folders
from training.command import main
from training.conversion import write_records
from training.data import Dataset, read_class_folders
from training.errors import DataError
from training.inspection.command import read_tasks
from training.inspection.headers import read_headers
from training.inspection.make import write_inspection
from training.inspection.parts import Parts, read_parts

PARTS = {
    "baseball/000.png": "train",
    "baseball/copy.png": "test",
    "baseball/001.png": "train",
    "baseball/near.jpg": "validation",
    "tennis/000.png": "train",
    "tennis/001.png": "train",
    "cricket/000.png": "test",
    "cricket/001.png": "test",
    "gone.png": "train",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_troubled_folders(tmp_path_factory.mktemp("troubled") / "folders")


@pytest.fixture(scope="module")
def inspected(folders: Path) -> tuple[dict[str, Any], Path]:
    data = read_class_folders(folders)
    output = folders.parent / "report"
    split = write_split(folders.parent / "split.csv", PARTS)
    parts = read_parts(split, {one.name for one in data.pictures}, ["sport"])
    report = write_inspection(
        data, output, folders.parent / "cache", name="<troubled>", parts=parts, distance=6, shown=3
    )
    return report, output


def test_what_cannot_be_read_is_named_with_its_reason(inspected: tuple[dict[str, Any], Path]) -> None:
    report, _ = inspected
    (bad,) = report["unreadable"]
    assert (bad["file"], bad["label"]) == ("tennis/bad.png", "tennis")
    assert "truncated or damaged" in bad["reason"]
    assert report["left_out"] == ["tennis/empty.png: the file is empty"]
    assert report["empty_classes"] == ["judo"]
    assert (report["data"]["listed"], report["data"]["pictures"], report["data"]["classes"]) == (19, 18, 4)


def test_copies_conflicts_and_leaks_are_named(inspected: tuple[dict[str, Any], Path]) -> None:
    copies = inspected[0]["copies"]
    assert {key: value for key, value in copies.items() if key != "listed"} == {
        "groups": 2,
        "surplus": 2,
        "conflicts": 1,
        "across_parts": 1,
    }
    conflict, leak = copies["listed"]
    assert conflict["conflict"]
    assert conflict["files"] == [
        {"file": "cricket/copy.png", "label": "cricket"},
        {"file": "tennis/000.png", "label": "tennis"},
    ]
    assert not leak["conflict"]
    assert leak["parts"] == ["test", "train"]


def test_near_duplicates_are_told_within_and_across_parts(inspected: tuple[dict[str, Any], Path]) -> None:
    near = inspected[0]["near"]
    across, within = near["listed"]
    assert across["files"] == ["baseball/001.png", "baseball/near.jpg"]
    assert across["parts"] == ["train", "validation"]
    assert across["across"]
    assert not across["mirrored"]
    assert within["files"] == ["cricket/mirrored.png", "tennis/001.png"]
    assert within["mirrored"]
    assert within["parts"] == [None, "train"]
    assert all(one["likely"] and one["bits"] <= 6 for one in near["listed"])
    assert (near["pairs"], near["likely"], near["across_parts"], near["other_label"]) == (2, 2, 1, 1)
    assert near["kinds"]["across_same"] == {"likely": 1, "doubtful": 0}
    assert near["kinds"]["within_other"] == {"likely": 1, "doubtful": 0}
    assert sum(row["across_same"] + row["within_other"] for row in near["by_bits"]) == 2


def test_classes_are_counted_by_part(inspected: tuple[dict[str, Any], Path]) -> None:
    report, _ = inspected
    rows = {row["label"]: row for row in report["classes"]}
    assert [row["label"] for row in report["classes"]] == ["baseball", "cricket", "tennis", "chess", "judo"]
    assert rows["baseball"]["parts"] == {"train": 2, "validation": 1, "test": 1}
    assert rows["cricket"]["only_in"] == "test"
    assert rows["tennis"]["only_in"] == "train"
    assert rows["judo"]["pictures"] == 0
    assert all(row["low_evidence"] for row in report["classes"])
    assert report["split"] == {
        "parts": {"train": 4, "validation": 1, "test": 3},
        "in_no_part": 10,
        "not_in_data": 1,
    }


def test_sizes_formats_and_turned_pictures(inspected: tuple[dict[str, Any], Path]) -> None:
    found = inspected[0]["sizes"]
    assert found["formats"] == {"PNG": 15, "JPEG": 2, "GIF": 1}
    assert (found["turned"], found["animated"], found["long"]) == (1, 1, 1)
    longest = found["longest"][0]
    assert (longest["file"], longest["width"], longest["height"]) == ("chess/turned.jpg", 32, 160)
    assert found["smallest"][0]["file"] == "chess/turned.jpg"
    assert found["largest"][0]["file"] == "chess/turned.jpg"
    assert sum(one["pictures"] for one in found["short_side"]["bins"]) == 18
    assert found["short_side"]["quantiles"]["0.5"] == 40


def test_contact_sheets_show_every_class(inspected: tuple[dict[str, Any], Path]) -> None:
    report, output = inspected
    assert [row["label"] for row in report["sheets"]] == ["baseball", "chess", "cricket", "tennis"]
    for row in report["sheets"]:
        assert len(row["shown"]) == min(3, row["pictures"])
        with Image.open(output / row["sheet"]) as sheet:
            assert sheet.size == (row["width"], row["height"])
            assert np.asarray(sheet).std() > 20, "there are pictures on it"


def test_the_page_tells_the_same_as_the_json(inspected: tuple[dict[str, Any], Path]) -> None:
    report, output = inspected
    page = (output / "index.html").read_text("utf-8")
    assert json.loads((output / "report.json").read_text("utf-8")) == json.loads(json.dumps(report))
    assert (output / ".gitignore").read_text() == "*\n"
    assert "&lt;troubled&gt;" in page
    assert "<troubled>" not in page
    for sentence in (
        "1 picture cannot be decoded.",
        "1 class without a usable picture: judo.",
        "1 picture with the same bytes and different labels.",
        "1 pair of likely near-duplicates in different parts of the split: figures are too good.",
        "2 classes not in the training part: cricket, chess.",
        "1 class in the training part only, so never measured: tennis.",
        "5 classes with fewer than 30 pictures.",
    ):
        assert sentence in page
    for key in ("unreadable", "copies", "near", "classes", "sizes", "sheets"):
        assert f'<section id="{key}"' in page
    assert 'id="sources"' not in page, "class folders tell no sources"
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.startswith(("data:image/jpeg;base64,", "#")) or (output / address).is_file()


def test_good_data_have_nothing_amiss(tmp_path: Path) -> None:
    data = read_class_folders(write_class_folders(tmp_path / "data", each=31))
    report = write_inspection(data, tmp_path / "report", tmp_path / "cache", name="good", distance=1, shown=0)
    assert report["split"] is None
    assert "Nothing is amiss." in (tmp_path / "report" / "index.html").read_text("utf-8")
    assert not (tmp_path / "report" / "sheets").exists()


def test_data_without_one_good_picture_still_give_a_report(tmp_path: Path) -> None:
    (tmp_path / "data" / "judo").mkdir(parents=True)
    (tmp_path / "data" / "judo" / "a.png").write_bytes(b"\x89PNG and no more")
    data = read_class_folders(tmp_path / "data")
    report = write_inspection(data, tmp_path / "report", tmp_path / "cache", name="bad", distance=6, shown=9)
    assert (report["data"]["pictures"], report["sizes"], report["empty_classes"]) == (0, None, ["judo"])


def test_the_command_takes_shards_and_a_manifest_of_several_tasks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = write_class_folders(tmp_path / "folders", each=2)
    names = [one.name for one in read_class_folders(folders).pictures]
    tasks = ["sport", "product"] * 3
    rows = "".join(f"{name},thing,{task},web\n" for name, task in zip(names, tasks, strict=True))
    (tmp_path / "m.csv").write_text("file,label,task,source\n" + rows)
    common = ["--cache", str(tmp_path / "cache"), "--shown", "0"]
    source = ["--data", str(folders), "--manifest", str(tmp_path / "m.csv"), "--task", "sport", "product"]
    assert main(["inspect", *source, *common, "--output", str(tmp_path / "a")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("6 pictures, 2 classes\n")
    assert out.endswith(f"written {tmp_path / 'a' / 'index.html'}\n")
    report = json.loads((tmp_path / "a" / "report.json").read_text())
    assert [row["label"] for row in report["classes"]] == ["product: thing", "sport: thing"]
    assert report["sources"][0]["source"] == "web"

    write_records(read_class_folders(folders), tmp_path / "shards")
    assert (
        main(["inspect", "--data", str(tmp_path / "shards"), *common, "--output", str(tmp_path / "b")]) == 0
    )
    assert json.loads((tmp_path / "b" / "report.json").read_text())["data"]["pictures"] == 6
    with pytest.raises(SystemExit):
        main(["inspect", *source, *common, "--output", str(tmp_path / "c"), "--distance", "99"])
    assert "no number from 0 to 31" in capsys.readouterr().err


def test_tasks_are_read_together_or_alone(tmp_path: Path) -> None:
    folders = write_class_folders(tmp_path, each=1)
    assert read_tasks(folders, None, ["sport", "product"]).labels == ("baseball", "cricket", "tennis")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na.png,x\n", "no column part"),
        ("file,part\na.png,train\na.png,test\n", r"line 3: a\.png is in two parts"),
        ("file,part\nb.png,train\n", "knows none of these pictures"),
    ],
)
def test_a_bad_split_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_parts(tmp_path / "split.csv", {"a.png"}, ["sport"])
    with pytest.raises(DataError, match="cannot be read"):
        read_parts(tmp_path / "none.csv", {"a.png"}, ["sport"])


def test_a_split_of_several_tasks_counts_those_asked_for(tmp_path: Path) -> None:
    text = "file,task,part\na.png,sport,train\nb.png,sport,own\nc.png,product,test\n"
    (tmp_path / "split.csv").write_text(text)
    parts = read_parts(tmp_path / "split.csv", {"a.png"}, ["sport"])
    assert parts == Parts({"a.png": "train"}, ("train",), 1)
    assert read_parts(tmp_path / "split.csv", {"a.png", "b.png", "c.png"}, []).names == (
        "train",
        "test",
        "own",
    )


def test_headers_never_hold_all_pictures_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.inspection.headers.os.cpu_count", lambda: 2)
    data = write_class_folders(tmp_path, each=1, labels=("tennis",))
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    file = data / "tennis" / "large.png"
    file.write_bytes(png(noise))
    size = file.stat().st_size
    assert size > 1_000_000
    (large,) = (one for one in read_class_folders(data).pictures if one.name.endswith("large.png"))
    many = [dataclasses.replace(large, name=str(number)) for number in range(60)]
    tracemalloc.start()
    headers = read_headers(many)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(headers) == 60
    assert headers[0].short_side == 600
    assert peak < 6 * size, "of sixty pictures only as many as there are threads are in memory"


def test_a_class_whose_pictures_are_all_damaged_is_empty(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path / "data", each=2)
    for file in (root / "tennis").iterdir():
        file.write_bytes(b"\x89PNG\r\n\x1a\n")
    data = read_class_folders(root)
    assert data.empty == ()
    report = write_inspection(data, tmp_path / "r", tmp_path / "cache", name="x", distance=6, shown=0)
    assert report["empty_classes"] == ["tennis"]


def test_a_picture_that_goes_away_meanwhile_costs_its_thumbnail_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data: Dataset = read_class_folders(write_class_folders(tmp_path / "data", each=2))

    def gone(_: bytes) -> str:
        raise OSError

    monkeypatch.setattr("training.inspection.make.thumbnail", gone)
    monkeypatch.setattr("training.inspection.sheets.decode_picture", lambda *_, **__: gone(b""))
    write_inspection(data, tmp_path / "r", tmp_path / "cache", name="x", distance=6, shown=5)
    assert 'src=""' in (tmp_path / "r" / "index.html").read_text("utf-8")


def test_what_was_found_is_kept_where_the_page_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read_class_folders(write_class_folders(tmp_path / "data", each=1))

    def no_page(*_: object) -> str:
        raise RuntimeError("no page")

    monkeypatch.setattr("training.inspection.make.write_page", no_page)
    with pytest.raises(RuntimeError, match="no page"):
        write_inspection(data, tmp_path / "r", tmp_path / "cache", name="x", distance=6, shown=0)
    assert json.loads((tmp_path / "r" / "report.json").read_text("utf-8"))["data"]["pictures"] == 3
