"""From a run folder to a published version: exported, measured as it will be served, with its card beside it."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from catalogue import load_catalogue, load_products
from training.ablation import digest_of, earlier_versions
from training.answers import BESIDE, product_scorer, sport_scorer
from training.calibration import expected_calibration_error
from training.card import readable_card, sources_of
from training.classes import find_classes
from training.classifier import build_classifier
from training.data import Picture
from training.errors import ExportError
from training.export import Scores, export_classifier
from training.head_measures import measure_beside, measure_groups
from training.head_set import GROUP, TYPE, Head, HeadSet
from training.labelling import read_labels
from training.metrics import measure
from training.runs import read_run
from training.served import ExportedModel
from training.settings import write_json
from training.split_file import read_split
from training.targets import read_targets


def export_run(
    run: Path, root: Path, directory: Path, *, weights: str | None = None, task: str | None = None
) -> Path:
    """Export a run's classifier as the next version of a model, measured on the run's test part.

    The figures are those of the exported files, asked through their signature, and they are written into the version
    before it is published, as `card.json` and `MODEL_CARD.md`; also into the run, as `metrics.json`.

    Args:
        run: A complete run folder.
        root: The folder of the run's pictures.
        directory: The model's folder, `models/<name>`.
        weights: The backbone's weights, as in `BackboneSettings`; by default as the run recorded.
        task: `product` for the model of product types out of a run with those heads; by default the run's own.

    Returns:
        The version's folder.

    Raises:
        ExportError: The run is not complete, or has no head for the task.
        WeightsError: These are not the weights that the run used.
        DataError: The run's pictures are not under the folder.
    """
    finished = read_run(run, weights=weights)
    record, settings = finished.record, finished.settings
    task = task or settings.task
    heads = HeadSet.from_record(record)
    model = _product_model(run, root, record, heads) if task == "product" else _sport_model(record, heads)
    pictures = {part: read_split(run / "split.csv", root, part, task) for part in ("all", "test")}
    height, width = settings.backbone.height, settings.backbone.width

    def describe(draft: Path) -> dict[str, str]:
        metrics = evaluate(
            draft, pictures["test"], {row["id"]: row["trained_on"] for row in model.rows}, task=task
        )
        metrics |= model.measure_more(ExportedModel(draft), run, root)
        write_json(run / ("metrics.json" if task == settings.task else f"metrics-{task}.json"), metrics)
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
            **{name: value for name, value in record.items() if name != "classes"},
            model.key: model.rows,
            "task": task,
            "temperature": model.head.temperature,
            "sources": sources_of(pictures["all"]),
            "test_part": digest_of(pictures["test"]),
            "metrics": metrics,
        }
        card["earlier_versions"] = earlier_versions(directory, card)
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
        model.scorer(network),
        list(model.head.ids),
        [row["name"] for row in model.rows],
        height,
        width,
        directory,
        describe=describe,
    )


@dataclass(frozen=True, slots=True)
class _Model:
    """What is particular to one model out of a run.

    Attributes:
        head: The head whose classes it answers with.
        key: What its card calls them.
        rows: Their rows in the card: id, name and how many pictures they were trained on.
        scorer: From the network to the scorer that is exported.
        measure_more: Further figures, by name, of the exported model.
    """

    head: Head
    key: str
    rows: list[dict[str, Any]]
    scorer: Callable[[Any], Callable[[Any], Scores]]
    measure_more: Callable[[ExportedModel, Path, Path], dict[str, Any]]


def _sport_model(record: dict[str, Any], heads: HeadSet) -> _Model:
    beside = [head.name for head in heads.heads[1:] if head.name in BESIDE]

    def measure_more(model: ExportedModel, run: Path, root: Path) -> dict[str, Any]:
        if not beside:
            return {}
        return measure_beside(model, read_targets(run / "split.csv", root), beside, read_labels().harder)

    return _Model(
        heads.heads[0],
        "classes",
        record["classes"],
        lambda network: sport_scorer(network, heads),
        measure_more,
    )


def _product_model(run: Path, root: Path, record: dict[str, Any], heads: HeadSet) -> _Model:
    if TYPE not in {head.name for head in heads.heads}:
        raise ExportError(f"{run} has no head for product types: fine-tune with targets that have one.")
    table = read_targets(run / "split.csv", root)
    rows = {row["name"]: row["classes"] for row in record["heads"]}
    # Products need no groups: `targets` writes no column that nobody knows anything for.
    group_of = table.values.get(GROUP, ("",) * len(table.pictures))
    known = Counter(group_of[place] for place in table.places("train").tolist())
    types = product_rows(rows[TYPE], known)
    groups = {
        row["id"]: [(group["name"], ",".join(group["sports"])) for group in row["groups"]] for row in types
    }

    def measure_more(model: ExportedModel, _: Path, __: Path) -> dict[str, Any]:
        places = [place for place in table.places("test").tolist() if table.values[TYPE][place]]
        return {
            "groups": measure_groups(
                model.outputs_for([table.pictures[place] for place in places]),
                [table.values[TYPE][place] for place in places],
                [group_of[place].partition("/")[2] for place in places],
            )
        }

    return _Model(
        heads[TYPE], "types", types, lambda network: product_scorer(network, heads, groups), measure_more
    )


def product_rows(rows: Sequence[Mapping[str, Any]], known: Mapping[str, int]) -> list[dict[str, Any]]:
    """The types of a product model with the groups that it can answer.

    Args:
        rows: Id and number of training pictures of each type.
        known: How many training pictures each group has, by `type/group`.

    Returns:
        For each type id, name, `trained_on` and its groups: name, sports and `trained_on`. Groups that no picture was
        known to be of are left out, unless a type has none with pictures: then its first stands alone.
    """
    products = load_products(load_catalogue())
    types = []
    for row in rows:
        one = products.by_id(row["id"])
        if one is None:
            raise ExportError(
                f"The taxonomy has no product type {row['id']!r} any more (catalogue/products.json)."
            )
        groups = [
            {
                "name": group.name,
                "sports": list(group.sport_ids),
                "trained_on": known.get(f"{one.id}/{group.name}", 0),
            }
            for group in one.groups
        ]
        seen = [group for group in groups if group["trained_on"]]
        types.append(
            {"id": one.id, "name": one.name, "trained_on": row["trained_on"], "groups": seen or groups[:1]}
        )
    return types


def evaluate(
    version: Path,
    pictures: list[Picture],
    training_counts: dict[str, int] | None = None,
    *,
    task: str = "sport",
) -> dict[str, Any]:
    """Measure an exported version on labelled pictures: `metrics.measure`, and the expected `calibration_error`.

    Args:
        version: The version's folder.
        pictures: The pictures.
        training_counts: How many pictures each class was trained on, by id.
        task: What the labels are, see `find_classes`.

    Returns:
        The figures.

    Raises:
        DataError: A label is not in the catalogue.
        ExportError: No model under the contract.
    """
    classes = find_classes((picture.label for picture in pictures), task)
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
