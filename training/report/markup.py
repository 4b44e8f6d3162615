"""HTML and SVG from nested calls: whatever is not markup already is escaped."""

import html
import re
from typing import Any

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9:-]*")
#: Elements of HTML that have no end tag.
_VOID = frozenset({"br", "img", "meta", "link", "hr"})


class Markup(str):
    """Text that is markup already, so that it is not escaped again."""

    __slots__ = ()


def element(tag: str, *content: Any, **attributes: Any) -> Markup:
    """Write an element.

    Args:
        tag: Its name.
        content: Markup, which is taken as it is; lists of content; None, which is left out; anything else as text.
        attributes: Its attributes. A last underscore is dropped (`class_`), others become hyphens; None and False
            are left out, True stands without a value.

    Returns:
        The element.

    Raises:
        ValueError: A name that no element or attribute can have, or content in an element that has none.
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if not _NAME.fullmatch(tag) or (tag in _VOID and content):
        raise ValueError(f"No element is written so: {tag!r}.")
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{join(*content)}</{tag}>")


def join(*content: Any) -> Markup:
    """Write contents one after the other, see `element`."""
    parts = []
    for one in content:
        if isinstance(one, Markup):
            parts.append(str(one))
        elif isinstance(one, list | tuple):
            parts.append(join(*one))
        elif one is not None:
            parts.append(html.escape(str(one)))
    return Markup("".join(parts))


def _attribute(name: str, value: Any) -> str:
    spelt = name.rstrip("_").replace("_", "-")
    if not _NAME.fullmatch(spelt):
        raise ValueError(f"No attribute is written so: {name!r}.")
    if value is None or value is False:
        return ""
    return f" {spelt}" if value is True else f' {spelt}="{html.escape(str(value))}"'
