"""The frame of a page: head, heading, links to the sections, sections; one file that loads nothing from elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.report.markup import Markup, element

#: The styles that all pages share.
STYLE = Path(__file__).with_name("page.css")


def page(
    title: str,
    top: Sequence[Markup],
    sections: Sequence[tuple[str, str, Any]],
    *,
    styles: Sequence[Path] = (),
    pictures: str = "",
) -> str:
    """Write a page.

    Args:
        title: Its title and heading.
        top: What stands below the heading.
        sections: The key, by which links name it, the heading and the content of each; those without content are left
            out.
        styles: Style sheets beside `STYLE`, written into the page.
        pictures: Where the page may take pictures from, as in a Content-Security-Policy; empty for nowhere.

    Returns:
        HTML, complete.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'" + (f"; img-src {pictures}" if pictures else "")
    css = "\n".join(path.read_text(encoding="utf-8") for path in (STYLE, *styles))
    shown = [(key, name, content) for key, name, content in sections if content]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("title", title),
        element("style", Markup(css)),
    )
    body = element(
        "body",
        element("header", element("h1", title), list(top)),
        element("nav", [element("a", name, href=f"#{key}") for key, name, _ in shown]),
        element(
            "main",
            [element("section", element("h2", name), content, id=key) for key, name, content in shown],
        ),
    )
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"
