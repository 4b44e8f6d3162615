"""From labelled pictures to the report's folder: `index.html`, `report.json` and the contact sheets."""

from pathlib import Path
from typing import Any

from preprocessing import PictureError
from training.data import Dataset
from training.inspection.measure import inspect
from training.inspection.page import write_page
from training.inspection.parts import Parts
from training.inspection.sheets import write_sheets
from training.report.thumbnails import thumbnail
from training.settings import write_json


def write_inspection(
    data: Dataset,
    output: Path,
    cache: Path,
    *,
    name: str,
    parts: Parts | None = None,
    distance: int,
    shown: int,
) -> dict[str, Any]:
    """Look at pictures and write the report.

    Args:
        data: The pictures.
        output: The report's folder; made where missing. Git is told to leave it alone, as it holds pictures.
        cache: The folder of all caches; the hashes go there, for training to find.
        name: What the data are called.
        parts: The parts of the pictures; None where there is no split.
        distance: The most bits of 64 by which the hashes of near-duplicates differ.
        shown: How many pictures a contact sheet shows; 0 for no sheets.

    Returns:
        The report, as it is in `report.json`.

    Raises:
        OSError: A file cannot be written.
    """
    found = inspect(data, parts or Parts(), cache, distance=distance)
    output.mkdir(parents=True, exist_ok=True)
    (output / ".gitignore").write_text("*\n", encoding="utf-8")
    sheets = write_sheets(output, found.pictures, found.headers, most=shown) if shown else []
    report = {"name": name, **found.report, "sheets": sheets}

    def small(position: int) -> str:
        try:
            return thumbnail(found.pictures[position].read())
        except (PictureError, OSError):
            return ""  # it was good when it was hashed; the page is worth more than this picture

    # Before the page, which reads pictures again: whatever happens to them, what was found is kept.
    write_json(output / "report.json", report)
    page = write_page(report, small)
    (output / "index.html").write_text(page, encoding="utf-8")
    return report
