"""The report as one HTML page, with its contact sheets beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.inspection import sections
from training.inspection.findings import findings
from training.inspection.pieces import Thumbnail
from training.report.frame import page
from training.report.markup import Markup, element


def write_page(report: Mapping[str, Any], thumbnail: Thumbnail) -> str:
    """Write the page.

    Args:
        report: From `make.write_inspection`.
        thumbnail: From the position of a picture to a `data:` address.

    Returns:
        HTML, complete.
    """
    parts: list[tuple[str, str, sections.Section]] = [
        ("unreadable", "What cannot be read", sections.unreadable(report)),
        ("copies", "The same picture more than once", sections.copies(report, thumbnail)),
        ("near", "Near-duplicates", sections.near(report, thumbnail)),
        ("classes", "Class by class", sections.classes(report)),
        ("sources", "Where they come from", sections.sources(report)),
        ("sizes", "Sizes and formats", sections.sizes(report, thumbnail)),
        ("sheets", "Contact sheets", sections.sheets(report["sheets"])),
    ]
    return page(
        f"A look at {report['name']}",
        [_key_figures(report), _findings(report)],
        parts,
        styles=[Path(__file__).with_name("page.css")],
        # The sheets lie beside the page, which may be opened as a file or from a server.
        pictures="data: 'self' file:",
    )


def _key_figures(report: Mapping[str, Any]) -> Markup:
    data, copies, near = report["data"], report["copies"], report["near"]
    shown = [
        (data["pictures"], "pictures that can be used"),
        (data["classes"], "classes"),
        (len(report["unreadable"]) + len(report["left_out"]), "unreadable or missing"),
        (copies["surplus"], "exact copies too many"),
        (near["likely"], "likely pairs of near-duplicates"),
        (sum(row["low_evidence"] for row in report["classes"]), "classes of low evidence"),
    ]
    if report["split"] is not None:
        shown.insert(5, (near["across_parts"] + copies["across_parts"], "leaks between parts"))
    boxes = [element("div", element("strong", f"{value:,}"), element("span", text)) for value, text in shown]
    return element("div", boxes, class_="figures")


def _findings(report: Mapping[str, Any]) -> Markup:
    found = findings(report)
    split = report["split"]
    outside = ""
    if split is not None:
        parts = ", ".join(f"{count:,} {part}" for part, count in split["parts"].items())
        outside = f" By the split: {parts}; {split['in_no_part']:,} in no part of it."
        if split["not_in_data"]:
            outside += f" Not in the data, but in the split: {split['not_in_data']:,}."
    told = element("p", f"{report['data']['listed']:,} pictures were looked at.{outside}", class_="soft")
    if not found:
        return element("div", told, element("p", "Nothing is amiss."))
    items = [element("li", element("a", sentence, href=f"#{key}")) for key, sentence in found]
    return element("div", told, element("ul", items, class_="findings"))
