"""The command `report`, from a published version to its page, on a model that looks at colours."""

import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from catalogue import load_catalogue
from tests.training.pictures import COLOURS, coloured_noise, png, write_class_folders
from training.calibration import softmax
from training.command import main
from training.data import read_class_folders
from training.errors import ExportError
from training.export import export_classifier
from training.report.make import write_report
from training.report.page import write_page
from training.report.untempered import all_probabilities, untempered_confidences
from training.served import ExportedModel

LABELS = ("baseball", "cricket", "tennis")
TEMPERATURE = 0.5
_VOID = {"meta", "img", "br", "hr", "link"}


def logits_of(images: Any) -> Any:
    """Reddest, greenest, bluest."""
    return tf.reduce_mean(images, axis=[1, 2]) / 60


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data` (one label is wrong), `split.csv` (two a group), and a version with a temperature."""
    place = tmp_path_factory.mktemp("report")
    write_class_folders(place / "data", each=6)
    blue = coloured_noise(COLOURS["tennis"], 99)
    (place / "data" / "baseball" / "wrong.png").write_bytes(png(blue))
    rows = [
        f"{path.parent.name}/{path.name},{path.parent.name},{'main' if n % 3 else 'web'},,{n // 2},test"
        for n, path in enumerate(sorted((place / "data").rglob("*.png")))
    ]
    (place / "split.csv").write_text("file,label,source,licence,group,part\n" + "\n".join(rows) + "\n")
    sports = [load_catalogue().by_name(label) for label in LABELS]
    card = {
        "model": "colours",
        "made": "2026-01-01",
        "temperature": TEMPERATURE,
        "classes": [
            {"id": one.id, "trained_on": 10 * number + 15} for number, one in enumerate(sports) if one
        ],
    }
    export_classifier(
        lambda images: tf.nn.softmax(logits_of(images) / TEMPERATURE),
        [one.id for one in sports if one],
        ["Baseball", "<script>alert(1)</script>", 'Tennis & "Co"'],
        16,
        24,
        place / "models" / "colours",
        describe=lambda _: {"card.json": json.dumps(card)},
    )
    return place


@pytest.fixture(scope="module")
def report(place: Path) -> dict[str, Any]:
    options = {
        "--model": place / "models" / "colours" / "1",
        "--data": place / "data",
        "--split": place / "split.csv",
        "--main-source": "main",
        "--output": place / "out",
        "--robustness": 5,
    }
    assert main(["report", *(str(part) for pair in options.items() for part in pair)]) == 0
    loaded: dict[str, Any] = json.loads((place / "out" / "report.json").read_text())
    return loaded


class _Page(HTMLParser):
    """Checks that elements are closed in order, and collects what a page could load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.linked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in _VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "srcset", "data", "action", "poster", "xlink:href"}:
                self.loaded.append(value or "")
            if name == "href":
                self.linked.append(value or "")
            assert not name.startswith("on"), "no script hides in an attribute"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read_page(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def test_the_page_is_whole_and_loads_nothing(place: Path, report: dict[str, Any]) -> None:
    text = (place / "out" / "index.html").read_text()
    page = read_page(text)
    assert text.startswith("<!doctype html>")
    assert page.seen.count("h1") == 1
    assert "viewport" in text
    assert "prefers-color-scheme: dark" in text
    assert len(set(page.ids)) == len(page.ids)
    assert {link.removeprefix("#") for link in page.linked} == set(page.ids)
    assert page.loaded
    assert all(one.startswith("data:image/jpeg;base64,") for one in page.loaded)
    assert "http:" not in text
    assert "https:" not in text
    assert str(place) not in text + json.dumps(report)
    assert (place / "out" / ".gitignore").read_text() == "*\n"


def test_drawings_are_well_formed(place: Path, report: dict[str, Any]) -> None:
    text = (place / "out" / "index.html").read_text()
    drawings = text.split("<svg")[1:]
    assert len(drawings) == 6, "parts, two reliabilities, risk, robustness, evidence"
    for drawing in drawings:
        root = ET.fromstring("<svg" + drawing.split("</svg>")[0] + "</svg>")
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert "nan" not in ET.tostring(root, "unicode").lower()


def test_names_are_escaped(place: Path, report: dict[str, Any]) -> None:
    # The catalogue's names are used for truths; a model's own name only where the catalogue's label is not asked.
    hostile = "</script><script>alert(1)</script>&\"'"
    told = json.loads(json.dumps(report).replace("Tennis", json.dumps(hostile)[1:-1]))
    told["model"]["name"] = hostile
    told["segments"][-1]["name"] = hostile
    for thumbnail in (None, lambda _: "data:,"):
        text = write_page(told, thumbnail)
        assert "script" not in read_page(text).seen
        assert "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#x27;" in text


def test_the_figures_are_those_of_the_answers(place: Path, report: dict[str, Any]) -> None:
    assert report["model"] == {"name": "colours", "version": "1", "made": "2026-01-01", "classes": 3}
    assert report["asked"] == {
        "pictures": 19,
        "groups": 10,
        "groups_known": True,
        "part": "test",
        "outside_classes": 0,
    }
    # Colours tell these classes apart, and the wrong label counts as a mistake.
    assert report["segments"][0]["top1"]["right"] == 18
    assert [row["pictures"] for row in report["segments"]] == [19, 12, 7, 12, 7]
    assert [row["low_evidence"] for row in sorted(report["by_class"], key=lambda row: row["trained_on"])] == [
        True,
        True,
        False,
    ]
    robustness = report["robustness"]
    assert [row["pictures"] for row in robustness["rows"]] == [5] * 11
    exif = robustness["exif"]
    assert (exif["files"], exif["changed_answers"]) == (35, 0)
    assert exif["largest_pixel_difference"] <= 1, "the rounding of a resize, no more"
    assert exif["largest_probability_change"] < 0.001
    assert [one["file"] for one in report["surest_mistakes"]] == ["baseball/wrong.png"]
    assert [(row["truth"], row["answer"]) for row in report["confused"]] == [("Baseball", "Tennis")]
    text = (place / "out" / "index.html").read_text()
    for part in (report["calibration"]["served"], report["calibration"]["without_temperature"]):
        assert f"{100 * part['error']:.1f}%" in text


def test_without_the_temperature_the_network_is_less_sure(place: Path, report: dict[str, Any]) -> None:
    found = report["calibration"]
    assert found["temperature"] == TEMPERATURE
    assert found["without_temperature"]["confidence"] < found["served"]["confidence"]
    model = ExportedModel(place / "models" / "colours" / "1")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 24, 3), dtype=np.uint8)
    pixels[:, :, :, 1] //= 2
    logits = logits_of(tf.constant(pixels, tf.float32)).numpy()
    np.testing.assert_allclose(
        untempered_confidences(all_probabilities(model.signature), [pixels[:3], pixels[3:]], TEMPERATURE),
        softmax(logits).max(axis=1),
        rtol=1e-5,
    )


def test_a_graph_that_sorts_otherwise_is_refused() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 2, 2, 3], tf.uint8)])  # type: ignore[untyped-decorator]
    def unsorted(images: Any) -> Any:
        return {"probabilities": tf.cast(images, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 2, 3], tf.uint8)])  # type: ignore[untyped-decorator]
    def unnamed(images: Any) -> Any:
        return tf.cast(images, tf.float32)

    with pytest.raises(ExportError, match="does not sort its probabilities"):
        all_probabilities(unsorted.get_concrete_function())
    with pytest.raises(ExportError, match="no output probabilities"):
        all_probabilities(unnamed.get_concrete_function())


def test_a_bare_version_without_split_card_robustness_and_pictures(
    place: Path, report: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = tmp_path / "bare" / "4"
    version.parent.mkdir()
    version.symlink_to(place / "models" / "colours" / "1")
    card = version / "card.json"
    told = card.read_text()
    arguments = [
        "report",
        "--model",
        str(version),
        "--data",
        str(place / "data"),
        "--output",
        str(tmp_path / "o"),
    ]
    try:
        card.unlink()
        assert main([*arguments, "--robustness", "0", "--no-pictures"]) == 0
        assert "All pictures: 19 pictures, top-1 94.7%" in capsys.readouterr().out
        bare = json.loads((tmp_path / "o" / "report.json").read_text())
        assert (bare["robustness"], bare["asked"]["groups_known"]) == (None, False)
        assert bare["calibration"]["without_temperature"] is None
        text = (tmp_path / "o" / "index.html").read_text()
        assert read_page(text).loaded == []
        assert "not the pictures of the test part" in text
        card.write_text("no card")
        assert main(arguments) == 1
        assert "is no card" in capsys.readouterr().err
    finally:
        card.write_text(told)


def test_what_was_measured_is_kept_where_the_page_cannot_be_made(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_page(*_: object) -> str:
        raise RuntimeError("no page")

    monkeypatch.setattr("training.report.make.write_page", no_page)
    pictures = read_class_folders(place / "data").pictures
    with pytest.raises(RuntimeError, match="no page"):
        write_report(place / "models" / "colours" / "1", pictures, tmp_path / "o", sample=0)
    assert json.loads((tmp_path / "o" / "report.json").read_text("utf-8"))["asked"]["pictures"] == 19
    assert (tmp_path / "o" / ".gitignore").read_text() == "*\n", "the page, once made, holds pictures"
