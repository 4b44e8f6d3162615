"""From a published version and labelled pictures to the report's folder: `report.json` and `index.html`."""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.data import Picture
from training.errors import ExportError
from training.report.asked import Asked, join
from training.report.by_class import class_rows, confused_pairs, surest_mistakes
from training.report.certainty import abstaining, calibration_of
from training.report.page import write_page
from training.report.robustness import measure_robustness
from training.report.shares import mean_over_classes, segments
from training.report.thumbnails import thumbnail
from training.report.untempered import all_probabilities, untempered_confidences
from training.served import ExportedModel
from training.settings import write_json

_BATCH = 32


def write_report(
    version: Path,
    pictures: Sequence[Picture],
    output: Path,
    *,
    groups: NDArray[np.int64] | None = None,
    part: str = "test",
    main_sources: Collection[str] = (),
    sample: int = 300,
    thumbnails: bool = True,
    task: str = "sport",
) -> dict[str, Any]:
    """Measure a version and write its report.

    Args:
        version: The version's folder, `models/<name>/<number>`.
        pictures: Labelled pictures.
        output: The report's folder; made where missing. Git is told to leave it alone, as the page holds pictures.
        groups: int64 [pictures]: pictures of one group look alike; None where that is not known.
        part: What the pictures are, for the reader: `test`, or another part of the split.
        main_sources: The sources that make up the main set.
        sample: How many pictures are distorted for the part on robustness; 0 leaves it out.
        thumbnails: Whether the page shows pictures.
        task: What the labels are, see `classes.find_classes`.

    Returns:
        The figures, as they are in `report.json`.

    Raises:
        DataError: No pictures, a picture that cannot be decoded, or a label that is not in the catalogue.
        ExportError: No model under the contract.
    """
    model = ExportedModel(version)
    known = np.arange(len(pictures)) if groups is None else groups
    asked = join(pictures, known, model.answer_pictures(pictures), task)
    report = measure_version(version, model, asked, part=part, main_sources=main_sources, sample=sample)
    report["asked"]["groups_known"] = groups is not None
    output.mkdir(parents=True, exist_ok=True)
    (output / ".gitignore").write_text("*\n", encoding="utf-8")
    # Before the page, which reads pictures again: whatever happens to them, what was measured is kept.
    write_json(output / "report.json", report)
    page = write_page(report, (lambda one: thumbnail(pictures[one].read())) if thumbnails else None)
    (output / "index.html").write_text(page, encoding="utf-8")
    return report


def measure_version(
    version: Path,
    model: ExportedModel,
    asked: Asked,
    *,
    part: str,
    main_sources: Collection[str],
    sample: int,
) -> dict[str, Any]:
    """Measure all that the report tells.

    Args:
        version: The version's folder, whose card tells its temperature and how much each class was trained on.
        model: The version, loaded.
        asked: Pictures and answers.
        part: As in `write_report`.
        main_sources: As in `write_report`.
        sample: As in `write_report`.

    Returns:
        Plain values for JSON: `model`, `asked`, `main_sources`, `segments`, `mean_over_classes`, `by_class`,
        `confused`, `surest_mistakes`, `calibration`, `abstaining`, `robustness` (None where not asked).
    """
    card = _read_card(version)
    temperature = card.get("temperature")
    rows = card.get("classes") or card.get("types")
    trained_on = {row["id"]: row["trained_on"] for row in rows} if rows else None
    own = set(asked.names if trained_on is None else trained_on)
    main = np.isin(asked.sources, sorted(main_sources)) if main_sources else None
    untempered = None
    if temperature not in {None, 1.0}:
        untempered = untempered_confidences(
            all_probabilities(model.signature), _pixels(model, asked.pictures), temperature
        )
    return {
        "model": {
            "name": card.get("model", version.resolve().parent.name),
            "version": version.resolve().name,
            "made": card.get("made"),
            "classes": len(own),
        },
        "asked": {
            "pictures": len(asked.pictures),
            "groups": len(np.unique(asked.groups)),
            "groups_known": True,
            "part": part,
            "outside_classes": sum(truth not in own for truth in asked.truths),
        },
        "main_sources": sorted(main_sources),
        "segments": segments(asked, main_sources),
        "mean_over_classes": mean_over_classes(asked),
        "by_class": class_rows(asked, trained_on),
        "confused": confused_pairs(asked),
        "surest_mistakes": surest_mistakes(asked),
        "calibration": calibration_of(asked, main, temperature, untempered),
        "abstaining": abstaining(asked.confidences, asked.right),
        "robustness": measure_robustness(model, asked, sample=sample) if sample else None,
    }


def _read_card(version: Path) -> dict[str, Any]:
    """The card beside the model, empty where there is none: a model from elsewhere can be measured too."""
    path = version / "card.json"
    if not path.is_file():
        return {}
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExportError(f"{path} is no card: {error}. Publish the version anew.") from error
    return card if isinstance(card, dict) else {}


def _pixels(model: ExportedModel, pictures: Sequence[Picture]) -> Iterator[NDArray[np.uint8]]:
    for start in tqdm(
        range(0, len(pictures), _BATCH), desc="without temperature", unit="batch", mininterval=5
    ):
        yield np.stack([model.decode(picture) for picture in pictures[start : start + _BATCH]])
