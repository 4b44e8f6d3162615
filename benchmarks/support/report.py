"""What a benchmark found: tables on the terminal, and with their plots in one HTML file."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from training.report.markup import Markup, element

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .2rem .7rem; border-bottom: 1px solid #ccc; }
td { text-align: right; font-variant-numeric: tabular-nums; } td:first-child, th { text-align: left; }
svg { max-width: 100%; height: auto; }
"""


class Report:
    """Collects what is to be shown, and prints tables and notes as they come."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[Markup] = [element("h1", title)]
        self.note(
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}. Load average at the start: {os.getloadavg()[0]:.1f}."
        )

    def heading(self, text: str) -> None:
        """Begin a section."""
        print(f"\n## {text}\n", flush=True)
        self._parts.append(element("h2", text))

    def note(self, text: str) -> None:
        """Add a paragraph."""
        print(text, flush=True)
        self._parts.append(element("p", text))

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table; printed as Markdown."""
        print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
        for row in rows:
            print(f"| {' | '.join(row)} |")
        print(flush=True)
        head = element("tr", [element("th", cell) for cell in heads])
        body = [element("tr", [element("td", cell) for cell in row]) for row in rows]
        self._parts.append(element("table", element("thead", head), element("tbody", body)))

    def plot(self, plot: Markup) -> None:
        """Add a plot."""
        self._parts.append(plot)

    def write(self, path: Path) -> None:
        """Write the page."""
        head = element(
            "head",
            element("meta", charset="utf-8"),
            element("title", self._title),
            element("style", Markup(_STYLE)),
        )
        page = element("html", head, element("body", self._parts), lang="en")
        path.write_text(f"<!doctype html>\n{page}\n", "utf-8")
        print(f"Written to {path}")
