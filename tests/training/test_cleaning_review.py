import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.training.cleaning_data import prepared_clouds
from tests.training.pictures import coloured_noise, png
from training.cleaning.decisions import DROP, Decision
from training.cleaning.review import choose_examples, thumbnail, write_review
from training.cleaning.suspects import Suspect

EVIL = '"><script>alert(1)</script>&.png'


def suspect(file: str, label: str = "chess", predicted: str = "judo", relation: str = "") -> Suspect:
    return Suspect(file, label, predicted, 0.05, 0.9, 0.925, relation, "test", "made <here>")


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def page(tmp_path: Path) -> str:
    (tmp_path / "a.png").write_bytes(png(coloured_noise((200, 90, 30), 1)))
    (tmp_path / "b.png").write_bytes(png(coloured_noise((20, 90, 230), 2)))
    write_review(
        tmp_path / "review.html",
        [suspect("a.png", relation="part"), suspect(EVIL, label="</script>chess")],
        tmp_path,
        {"judo": ["b.png", "missing.png"]},
        ["chess", "judo", "<b>boxing"],
        decided={EVIL: Decision(EVIL, DROP, why="</script><script>")},
        title="Suspects <1>",
    )
    return (tmp_path / "review.html").read_text(encoding="utf-8")


def test_names_cannot_become_markup(page: str) -> None:
    parser = Elements()
    parser.feed(page)
    assert [tag for tag, _ in parser.found].count("script") == 2
    assert "alert(1)</script>" not in page
    assert "<b>boxing" not in page
    assert "made <here>" not in page
    state = re.search(r'<script type="application/json" id="state">(.*?)</script>', page, re.DOTALL)
    assert state is not None
    assert json.loads(state[1])["suspects"][1]["file"] == EVIL
    assert json.loads(state[1])["decided"] == [[EVIL, DROP, "", "", "</script><script>"]]


def test_the_page_fetches_nothing(page: str) -> None:
    parser = Elements()
    parser.feed(page)
    for tag, attributes in parser.found:
        assert tag != "link"
        assert "href" not in attributes
        assert (attributes.get("src") or "data:").startswith("data:image/webp;base64,") or tag != "img"
    policy = next(attributes for tag, attributes in parser.found if "http-equiv" in attributes)
    assert str(policy["content"]).startswith("default-src 'none'")
    assert not re.search(r"https?:|url\((?!data:)", page)


def test_each_suspect_has_its_choices_and_its_predicted_class(page: str) -> None:
    parser = Elements()
    parser.feed(page)
    assert [tag for tag, _ in parser.found].count("article") == 2
    decisions = [attributes.get("data-decision") for tag, attributes in parser.found if tag == "button"]
    assert decisions.count("keep") == decisions.count("relabel") == decisions.count("drop") == 2
    examples = [
        attributes for _, attributes in parser.found if "example" in (attributes.get("class") or "").split()
    ]
    assert [one["aria-label"] for one in examples] == ["judo", "judo"]  # one example, beside both suspects
    assert page.count("data:image/webp") == 2  # the suspect that can be decoded, and the example once
    assert "both may be right" in page
    assert "cannot be decoded" in page


def test_a_thumbnail_of_what_is_no_picture_is_empty(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    assert (
        thumbnail((tmp_path / "notes.png").read_bytes, 32)
        == thumbnail((tmp_path / "none.png").read_bytes, 32)
        == ""
    )


def test_examples_are_the_surest_of_their_label_and_no_copies(tmp_path: Path) -> None:
    prepared, _ = prepared_clouds(tmp_path, wrong=0)
    judo = [position for position, picture in enumerate(prepared.data.pictures) if picture.label == "judo"]
    probabilities = np.full((len(prepared.data.pictures), 4), 0.1, np.float32)
    surest = [judo[6], judo[7], judo[20]]  # the first two are of one group
    probabilities[surest, prepared.classes.of_label["judo"]] = [0.9, 0.8, 0.7]
    chosen = choose_examples(prepared, probabilities, ["judo", "judo"])
    assert chosen == {"judo": [prepared.data.pictures[judo[6]].name, prepared.data.pictures[judo[20]].name]}
