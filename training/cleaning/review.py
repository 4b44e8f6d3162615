"""The review page: one HTML file that shows each suspect beside its label and its predicted class.

The page holds its pictures, needs no server and no network, and gives a decisions file as a download.
"""

import base64
import html
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocessing import PictureError, decode_picture
from training.cleaning.decisions import COLUMNS, Decision
from training.cleaning.suspects import PART_OF, SIBLING, Suspect, spellings
from training.pipeline import Prepared
from training.reading import reader_by_name

#: Pixels of a side of a suspect and of an example.
_SIDE, _EXAMPLE_SIDE = 224, 112
_HERE = Path(__file__).parent
_RELATIONS = {
    PART_OF: "One of these labels is a part of the other: both may be right.",
    SIBLING: "These labels are parts of one sport.",
}
# The page runs its own script and style and shows its own pictures; nothing can be fetched.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def choose_examples(
    prepared: Prepared, probabilities: NDArray[np.float32], wanted: Iterable[str], each: int = 2
) -> dict[str, list[str]]:
    """Choose typical pictures of labels: those whose label the heads that never saw them were surest of.

    Args:
        prepared: The data.
        probabilities: float32 [pictures, classes], from `folds.out_of_fold`.
        wanted: The labels, as the data spells them.
        each: How many of each; no two of one group of like pictures.

    Returns:
        Names of pictures by label.
    """
    names = spellings(prepared)
    labels = np.array([prepared.classes.of_label[picture.label] for picture in prepared.data.pictures])
    chosen: dict[str, list[str]] = {}
    for label in sorted(set(wanted)):
        one = names.index(label)
        rows = np.flatnonzero(labels == one)
        rows = rows[np.argsort(-probabilities[rows, one], kind="stable")]
        _, first = np.unique(prepared.groups[rows], return_index=True)
        chosen[label] = [prepared.data.pictures[row].name for row in rows[np.sort(first)[:each]].tolist()]
    return chosen


def thumbnail(read: Callable[[], bytes], side: int) -> str:
    """A picture as a data URI: WebP, stretched to a square as the model sees it; empty if it cannot be decoded."""
    try:
        pixels = decode_picture(read(), height=side, width=side)
    except (OSError, PictureError):
        return ""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def write_review(
    path: Path,
    suspects: Sequence[Suspect],
    root: Path,
    examples: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    *,
    decided: Mapping[str, Decision] | None = None,
    title: str = "Suspects",
) -> None:
    """Write the review page.

    Args:
        path: The HTML file.
        suspects: In the order of the page.
        root: The folder of the pictures, or of the shards that hold them.
        examples: Names of typical pictures by label.
        labels: All labels that a picture can be given.
        decided: Earlier decisions, by file; they are shown as made, and are in the download also where they are about
            other pictures.
        title: What the page is called.
    """
    decided = decided or {}
    read = reader_by_name(root)
    shown = {label for one in suspects for label in (one.label, one.predicted)}
    styles: list[str] = []
    classes: dict[str, list[tuple[str, str]]] = {}
    for number, label in enumerate(sorted(shown)):
        classes[label] = []
        for place, name in enumerate(examples.get(label, ())):
            picture = thumbnail(partial(read, name), _EXAMPLE_SIDE)
            if picture:
                # Written once here, however many suspects stand beside it.
                classes[label].append((f"e{number}-{place}", name))
                styles.append(f".e{number}-{place} {{ background-image: url({picture}) }}")
    articles = [_article(number, one, read, classes) for number, one in enumerate(suspects)]
    state = {
        "columns": list(COLUMNS),
        "suspects": [{"file": one.file, "label": one.label, "predicted": one.predicted} for one in suspects],
        "decided": [[getattr(one, name) for name in COLUMNS] for one in decided.values()],
    }
    options = "".join(f"<option>{html.escape(label)}</option>" for label in labels)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
{(_HERE / "review.css").read_text(encoding="utf-8")}
{chr(10).join(styles)}
</style>
</head>
<body>
<header>
<h1>{html.escape(title)}</h1>
<p id="progress" role="status">{len(suspects)} suspects</p>
<label>Your name <input id="by" autocomplete="name"></label>
<button type="button" id="save">Save decisions <kbd>s</kbd></button>
<p><kbd>j</kbd> next, <kbd>k</kbd> previous, <kbd>1</kbd> keep, <kbd>2</kbd> relabel, <kbd>3</kbd> drop,
<kbd>0</kbd> undecided. Pictures are shown as the model sees them, stretched to a square.</p>
</header>
<main>
{chr(10).join(articles)}
</main>
<datalist id="labels">{options}</datalist>
<script type="application/json" id="state">{_json_in_html(state)}</script>
<script>
{(_HERE / "review.js").read_text(encoding="utf-8")}
</script>
</body>
</html>
"""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(page, encoding="utf-8")
    draft.replace(path)


def _json_in_html(values: object) -> str:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(values, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _article(
    number: int,
    one: Suspect,
    read: Callable[[str], bytes],
    classes: Mapping[str, Sequence[tuple[str, str]]],
) -> str:
    file, label, predicted = (html.escape(text) for text in (one.file, one.label, one.predicted))
    picture = thumbnail(partial(read, one.file), _SIDE)
    shown = (
        f'<img src="{picture}" width="{_SIDE}" height="{_SIDE}" alt="Suspect {number + 1}, labelled {label}">'
        if picture
        else "<p>This picture cannot be decoded.</p>"
    )
    relation = f'<p class="relation">{_RELATIONS[one.relation]}</p>' if one.relation else ""
    test = '<p class="relation">Test part: not changed by default.</p>' if one.part == "test" else ""
    return f"""<article tabindex="-1" data-number="{number}" aria-label="Suspect {number + 1}: {file}">
<figure>{shown}<figcaption>{number + 1}. {file}<br>{html.escape(one.source)}, {html.escape(one.part)} part,
score {one.score:.3f}</figcaption></figure>
{_examples("Labelled", label, one.label_probability, classes.get(one.label, ()))}
{_examples("Predicted", predicted, one.predicted_probability, classes.get(one.predicted, ()))}
<div class="choice">{relation}{test}
<button type="button" data-decision="keep" aria-pressed="false">Keep {label} <kbd>1</kbd></button>
<button type="button" data-decision="relabel" aria-pressed="false">Relabel as <kbd>2</kbd></button>
<input class="label" list="labels" value="{predicted}" aria-label="Label for relabelling">
<button type="button" data-decision="drop" aria-pressed="false">Drop <kbd>3</kbd></button>
<input class="why" placeholder="Why" aria-label="Why">
</div>
</article>"""


def _examples(kind: str, label: str, probability: float, pictures: Sequence[tuple[str, str]]) -> str:
    tiles = "".join(
        f'<span class="example {style}" role="img" aria-label="{label}" title="{html.escape(name)}"></span>'
        for style, name in pictures
    )
    return f'<section><h2>{kind} <b>{label}</b> {probability:.2f}</h2><div class="examples">{tiles}</div></section>'
