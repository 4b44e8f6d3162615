"""Pieces that the page's sections are made of: galleries, pairs side by side, lists that are not endless."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from training.report.markup import Markup, element

#: From the position of a picture to a `data:` address; empty where it cannot be shown.
Thumbnail = Callable[[int], str]
#: How many lines of a list the page shows; all are in the JSON.
LINES = 200


def gallery(rows: Sequence[Mapping[str, Any]], thumbnail: Thumbnail) -> Markup:
    """Pictures of `sizes.measure_sizes` with their sizes."""
    return element(
        "div",
        [
            element(
                "figure",
                _image(one["picture"], one["file"], thumbnail),
                element("figcaption", f"{one['width']} × {one['height']}, {one['label']}, {one['file']}"),
            )
            for one in rows
        ],
        class_="pictures",
    )


def side_by_side(pairs: Sequence[Mapping[str, Any]], thumbnail: Thumbnail) -> Markup:
    """Pairs of `measure.inspect`, each two pictures beside each other."""
    return element("div", [_pair(one, thumbnail) for one in pairs], class_="pairs")


def _pair(pair: Mapping[str, Any], thumbnail: Thumbnail) -> Markup:
    figures = [
        element(
            "figure",
            _image(picture, file, thumbnail),
            element("figcaption", element("b", label), f" {part}: " if part else " ", file),
        )
        for picture, file, label, part in zip(
            pair["pictures"], pair["files"], pair["labels"], pair["parts"], strict=True
        )
    ]
    bits = f"{pair['bits']} of 64 bits differ" if pair["bits"] else "The same hash"
    told = bits + (", mirrored" if pair["mirrored"] else "") + f"; likeness {pair['likeness']:.2f}."
    return element("div", element("div", figures, class_="both"), element("p", told))


def _image(picture: int, file: str, thumbnail: Thumbnail) -> Markup:
    return element("img", src=thumbnail(picture), alt=file, title=file, loading="lazy")


def lines(texts: Sequence[str]) -> Markup:
    """A list of at most `LINES` lines, which says how many more there are."""
    more = len(texts) - LINES
    return element(
        "ul",
        [element("li", text) for text in texts[:LINES]],
        element("li", f"and {more:,} more, in report.json") if more > 0 else None,
        class_="files",
    )


def soft(text: str) -> Markup:
    """A remark."""
    return element("p", text, class_="soft")
