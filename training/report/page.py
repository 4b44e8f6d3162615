"""The report as one HTML page: the figures of the JSON, drawn, with pictures, and nothing loaded from elsewhere."""

from collections.abc import Mapping
from typing import Any

from training.report import galleries, sections
from training.report.frame import page
from training.report.markup import Markup, element, join
from training.report.method import method
from training.report.pieces import between, percent


def write_page(report: Mapping[str, Any], thumbnail: galleries.Thumbnail | None) -> str:
    """Write the page.

    Args:
        report: From `make.measure_version`.
        thumbnail: From the position of a picture to a `data:` address; None for a page without pictures.

    Returns:
        HTML, complete.
    """
    model = report["model"]
    name = f"{model['name']}, version {model['version']}"
    parts: list[tuple[str, str, list[Markup | None]]] = [
        ("right", "How often it is right", sections.right(report)),
        ("calibration", "What its probabilities are worth", sections.calibration(report["calibration"])),
        ("abstaining", "When unsure answers are held back", sections.abstaining(report["abstaining"])),
        ("robustness", "When the same pictures come otherwise", sections.robustness(report["robustness"])),
        ("confused", "What it takes for what", galleries.confused(report["confused"], thumbnail)),
        (
            "mistakes",
            "The mistakes it was surest of",
            galleries.mistakes(report["surest_mistakes"], thumbnail),
        ),
        ("classes", "Class by class", sections.classes(report)),
        ("method", "How this was measured", method(report)),
    ]
    return page(f"Evaluation of {name}", [_subtitle(report), _key_figures(report)], parts, pictures="data:")


def _subtitle(report: Mapping[str, Any]) -> Markup:
    asked, model = report["asked"], report["model"]
    warning = None
    if asked["part"] != "test":
        warning = element(
            "p",
            f"These are not the pictures of the test part ({asked['part']}): the weights may have seen them, "
            "and then the figures say little about new pictures.",
            class_="warning",
        )
    outside = (
        f" {asked['outside_classes']} of them show a sport that is no class of this model and cannot be right."
        if asked["outside_classes"]
        else ""
    )
    return join(
        element(
            "p",
            f"{model['classes']} classes, made {model['made'] or 'at a time not told'}. "
            f"Asked: {asked['pictures']:,} pictures, in {asked['groups']:,} groups of like ones.{outside}",
            class_="soft",
        ),
        warning,
    )


def _key_figures(report: Mapping[str, Any]) -> Markup:
    shown = []
    for row in report["segments"]:
        if row["kind"] in {"all", "main", "rest"}:
            for top, called in (("top1", "first answer right"), ("top3", "in the first three")):
                shown.append((percent(row[top]["share"]), f"{row['name']}: {called}", row[top]["bootstrap"]))
    boxes = [
        element("div", element("strong", value), element("span", text), element("span", between(ends)))
        for value, text, ends in shown
    ]
    served = report["calibration"]["served"]
    boxes.append(
        element(
            "div",
            element("strong", percent(served["error"])),
            element("span", "expected calibration error"),
            element("span", f"by chance alone {percent(served['error_by_chance']['mean'])}"),
        )
    )
    return element("div", boxes, class_="figures")
