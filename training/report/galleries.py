"""The page's sections of pictures: pairs of classes that are confused, and the surest mistakes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from training.report.markup import Markup, element
from training.report.pieces import percent

#: From the position of a picture to a `data:` address.
Thumbnail = Callable[[int], str]


def confused(pairs: Sequence[Mapping[str, Any]], thumbnail: Thumbnail | None) -> list[Markup | None]:
    """The pairs of `by_class.confused_pairs`, each with its pictures, or their names where there is no thumbnail."""
    content: list[Markup | None] = [
        element("p", "The most frequent wrong first answers, with the pictures of the surest of them.")
    ]
    for pair in pairs:
        related = " Parts of one sport." if pair["related"] else ""
        content.append(element("h3", f"{pair['truth']}, taken for {pair['answer']}"))
        content.append(
            element(
                "p",
                f"{pair['pictures']} pictures, {percent(pair['share'])} of those of {pair['truth']}.{related}",
                class_="soft",
            )
        )
        content.append(
            _gallery(
                [
                    (one, f"{percent(one['confidence'])} sure, source {one['source'] or 'not told'}")
                    for one in pair["examples"]
                ],
                thumbnail,
            )
        )
    return content if pairs else []


def mistakes(rows: Sequence[Mapping[str, Any]], thumbnail: Thumbnail | None) -> list[Markup | None]:
    """The pictures of `by_class.surest_mistakes`."""
    if not rows:
        return []
    told = [
        (
            one,
            f"{one['answer']}, {percent(one['confidence'])} sure; labelled {one['truth']}",
        )
        for one in rows
    ]
    return [
        element("p", "Look at the labels first: where the model is sure and wrong, the label often is."),
        _gallery(told, thumbnail),
    ]


def _gallery(pictures: Sequence[tuple[Mapping[str, Any], str]], thumbnail: Thumbnail | None) -> Markup:
    if thumbnail is None:
        return element("ul", [element("li", f"{one['file']}: {told}") for one, told in pictures])
    return element(
        "div",
        [
            element(
                "figure",
                element(
                    "img", src=thumbnail(one["picture"]), alt=one["file"], title=one["file"], loading="lazy"
                ),
                element("figcaption", told),
            )
            for one, told in pictures
        ],
        class_="pictures",
    )
