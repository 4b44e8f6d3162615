"""From a run folder to a published version: exported, measured as it will be served, with its card beside it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from training.ablation import earlier_versions
from training.answers import sport_scorer
from training.calibration import expected_calibration_error
from training.card import readable_card, sources_of
from training.classes import find_classes
from training.classifier import build_classifier
from training.data import Picture
from training.export import export_classifier
from training.head_set import HeadSet
from training.metrics import measure
from training.pipeline import read_split
from training.runs import read_run
from training.served import ExportedModel
from training.settings import write_json


def export_run(run: Path, root: Path, directory: Path, *, weights: str | None = None) -> Path:
    """Export a run's classifier as the next version of a model, measured on the run's test part.

    The figures are those of the exported files, asked through their signature, and they are written into the version
    before it is published, as `card.json` and `MODEL_CARD.md`; also into the run, as `metrics.json`.

    Args:
        run: A complete run folder.
        root: The folder of the run's pictures.
        directory: The model's folder, `models/<name>`.
        weights: The backbone's weights, as in `BackboneSettings`; by default as the run recorded.

    Returns:
        The version's folder.

    Raises:
        ExportError: The run is not complete.
        WeightsError: These are not the weights that the run used.
        DataError: The run's pictures are not under the folder.
    """
    finished = read_run(run, weights=weights)
    record, settings = finished.record, finished.settings
    # Fine-tuning fits its own; a head's was fitted on the validation part when it was chosen.
    heads = HeadSet.from_record(record)
    temperature = heads.heads[0].temperature
    pictures = {part: read_split(run / "split.csv", root, part, settings.task) for part in ("all", "test")}
    height, width = settings.backbone.height, settings.backbone.width

    def describe(draft: Path) -> dict[str, str]:
        metrics = evaluate(
            draft, pictures["test"], {row["id"]: row["trained_on"] for row in record["classes"]}
        )
        write_json(run / "metrics.json", metrics)
        card: dict[str, Any] = {
            "model": directory.name,
            "made": datetime.now(UTC).date().isoformat(),
            "input": {
                "height": height,
                "width": width,
                "colours": "RGB",
                "dtype": "uint8",
                "resize": "stretched, aspect not kept",
            },
            **record,
            "temperature": temperature,
            "earlier_versions": earlier_versions(directory, record),
            "sources": sources_of(pictures["all"]),
            "metrics": metrics,
        }
        return {
            "card.json": json.dumps(card, indent=1, ensure_ascii=False) + "\n",
            "MODEL_CARD.md": readable_card(card),
        }

    network = build_classifier(
        settings.backbone,
        finished.backbone,
        settings.pooling,
        finished.head.with_temperature(heads.temperatures()),
        heads,
    )
    return export_classifier(
        sport_scorer(network, heads),
        [row["id"] for row in record["classes"]],
        [row["name"] for row in record["classes"]],
        height,
        width,
        directory,
        describe=describe,
    )


def evaluate(
    version: Path, pictures: list[Picture], training_counts: dict[str, int] | None = None
) -> dict[str, Any]:
    """Measure an exported version on labelled pictures: `metrics.measure`, and the expected `calibration_error`.

    Args:
        version: The version's folder.
        pictures: The pictures.
        training_counts: How many pictures each class was trained on, by id.

    Returns:
        The figures.

    Raises:
        DataError: A label is not in the catalogue.
        ExportError: No model under the contract.
    """
    classes = find_classes(picture.label for picture in pictures)
    answers = ExportedModel(version).answer_pictures(pictures)
    truths = [classes.ids[classes.of_label[picture.label]] for picture in pictures]
    metrics = measure(
        answers.class_ids,
        truths,
        [picture.source for picture in pictures],
        answers.names | dict(zip(classes.ids, classes.names, strict=True)),
        training_counts,
    )
    right = np.array([row[0] == truth for row, truth in zip(answers.class_ids, truths, strict=True)])
    error = expected_calibration_error(answers.probabilities[:, 0], right)
    return {**metrics, "calibration_error": round(error, 4)}
