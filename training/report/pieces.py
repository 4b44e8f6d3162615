"""Pieces that the page's sections are made of: shares as text, tables, figures with captions."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.report.markup import Markup, element

_TEXT_COLUMNS = frozenset({"most taken for"})


def percent(value: float | None) -> str:
    """A share in percent, with one digit after the point; a dash for None."""
    return "–" if value is None else f"{100 * value:.1f}%"


def between(ends: Sequence[float]) -> str:
    """The ends of a 95% interval of shares, in words."""
    return f"95%: {percent(ends[0])} to {percent(ends[1])}"


def share(found: Mapping[str, Any]) -> Markup:
    """A share from `shares.share_of`, with its Wilson interval below."""
    return element("span", percent(found["share"]), _ends(found["wilson"]) if found["of"] else None)


def with_intervals(found: Mapping[str, Any]) -> Markup:
    """A share from `shares.segments`, with both intervals below."""
    return element("span", percent(found["share"]), _ends(found["wilson"]), _ends(found["bootstrap"]))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    """A table that scrolls sideways on a narrow screen; the first column names the rows and stays in sight."""
    heads = [
        element("th", name, scope="col", class_="text" if name in _TEXT_COLUMNS else None) for name in columns
    ]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            [
                element("td", cell, class_="text" if name in _TEXT_COLUMNS else None)
                for name, cell in zip(columns[1:], row[1:], strict=True)
            ],
        )
        for row in rows
    ]
    return element(
        "div",
        element("table", element("thead", element("tr", heads)), element("tbody", body)),
        class_="wide",
        tabindex=0,
        role="group",
        aria_label=f"Table: {columns[0]}",
    )


def figure(drawing: Markup, caption: str) -> Markup:
    """A drawing with its caption."""
    return element("figure", drawing, element("figcaption", caption))


def _ends(ends: Sequence[float]) -> Markup:
    return element("small", f"{100 * ends[0]:.1f}–{100 * ends[1]:.1f}")
