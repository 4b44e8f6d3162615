"""The command line of training: its options, and what each subcommand does."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from training import blend, conversion, distribution, labelling, left_out, refit
from training.backbones import POOLINGS, BackboneSettings
from training.cleaning import command as cleaning
from training.data import Dataset, Picture
from training.errors import DataError, ExportError, TrainingError
from training.finetune_command import add_options, run_finetuning
from training.head_options import add_head_options, heads_from
from training.inspection import command as inspection
from training.pipeline import NO_CHOICE, Prepared, prepare, train
from training.ranges import share
from training.reading import read_data
from training.report import command as report
from training.search import command as searching
from training.search import variants
from training.settings import TrainSettings, write_json
from training.split import PARTS
from training.split_file import read_split


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(given, argparse.Namespace(given=given))
    try:
        with distribution.devices_of(options):
            options.run_command(options)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}. What was computed before is in the cache.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from the cache.", file=sys.stderr)
        return 130
    return 0


def _train(options: argparse.Namespace) -> None:
    if options.models is not None:
        _check_export()
        if options.task == "product":
            raise ExportError(
                "A model of products is exported from a run that has their groups too. Train without --models, then "
                "`python -m training finetune --targets TABLE`, then `python -m training export --task product`."
            )
    settings = settings_from(options)
    chosen = train(_prepared(options, settings), settings, options.run)
    print(f"validation: top-1 {chosen.top1:.4f}, top-3 {chosen.top3:.4f}, after {chosen.epochs} epochs")
    if options.models is not None:
        _export(options)


def _prepared(options: argparse.Namespace, settings: TrainSettings) -> Prepared:
    if options.split is None and not settings.validation:
        raise DataError(NO_CHOICE)  # before hours of computing
    decisions = cleaning.decisions_from(options)
    prepared = prepare(_read_data(options), settings, options.cache, split_file=options.split)
    prepared = cleaning.with_decisions(prepared, decisions, options)
    prepared.check_choice()
    for problem in prepared.data.problems:
        print(f"left out: {problem}", file=sys.stderr)
    parts = ", ".join(f"{len(getattr(prepared.split, part))} {part}" for part in PARTS)
    print(f"{len(prepared.data.pictures)} pictures, {len(prepared.classes.ids)} classes: {parts}")
    for line in prepared.not_measured:
        print(line, file=sys.stderr)
    return prepared


def _search_heads(options: argparse.Namespace) -> None:
    settings = settings_from(options)
    searching.run_head_search(options, _prepared(options, settings), settings)


def _seeds(options: argparse.Namespace) -> None:
    settings = settings_from(options)
    searching.run_seeds(options, _prepared(options, settings), settings)


def _ablate(options: argparse.Namespace) -> None:
    variants.run_ablation(options, _parser().parse_args)


def _clean(options: argparse.Namespace) -> None:
    settings = settings_from(options)
    prepared = prepare(_read_data(options), settings, options.cache, split_file=options.split)
    cleaning.run_clean(options, prepared, settings)


def _check_export() -> None:
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            "A SavedModel is made with TensorFlow: train without --models, then start `python -m training export` "
            "with KERAS_BACKEND=tensorflow. A run folder is the same in every backend."
        )


def _leave_out(options: argparse.Namespace) -> None:
    settings = settings_from(options)
    prepared = prepare(_read_data(options), settings, options.cache, split_file=options.split)
    left_out.run(options, prepared, settings)


def _export(options: argparse.Namespace) -> None:
    _check_export()
    # Here and below, as it starts TensorFlow, which is not needed to train with another backend.
    from training.shipping import export_run

    version = export_run(
        options.run,
        options.data,
        options.models / (options.name or f"{options.task}_classifier"),
        weights=options.backbone_weights,
        task=options.task,
    )
    metrics = json.loads((version / "card.json").read_text(encoding="utf-8"))["metrics"]
    print(_summary(metrics))
    print(f"published {version}")


def _evaluate(options: argparse.Namespace) -> None:
    from training.shipping import evaluate

    metrics = evaluate(options.model, _asked_for(options), task=options.task)
    if options.output is not None:
        write_json(options.output, metrics)
    print(_summary(metrics))


def _report(options: argparse.Namespace) -> None:
    report.run(options, _asked_for(options))


def _asked_for(options: argparse.Namespace) -> list[Picture]:
    if options.split is not None:
        return read_split(options.split, options.data, options.part, options.task)
    return list(_read_data(options).pictures)


def _summary(metrics: dict[str, Any]) -> str:
    rows = {"all": metrics["all"], **metrics["by_source"]}
    return "\n".join(
        f"{name or 'no source'}: {row['pictures']} pictures, "
        + ", ".join(f"top-{k} {row[f'top{k}']['share']:.4f} ({row[f'top{k}']['right']})" for k in (1, 3, 5))
        for name, row in rows.items()
    )


def _read_data(options: argparse.Namespace) -> Dataset:
    return read_data(options.data, options.manifest, task=options.task)


def settings_from(options: argparse.Namespace) -> TrainSettings:
    """The settings that the options of `train` ask for; lists of values are tried in every combination."""
    height, width = options.size
    backbone = BackboneSettings(options.backbone, options.backbone_weights or "imagenet", height, width)
    return TrainSettings(
        task=options.task,
        backbone=backbone,
        pooling=options.pooling,
        crops=options.crops,
        heads=heads_from(options),
        validation=options.validation,
        test=options.test,
        cosine=options.alike_cosine,
        seed=options.seed,
        final_on_validation=not options.final_on_train_only,
    )


def size_of(text: str) -> tuple[int, int]:
    """Read `224`, or `HEIGHTxWIDTH`."""
    height, _, width = text.partition("x")
    try:
        size = int(height), int(width or height)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: a size is given as 224, or as HEIGHTxWIDTH") from None
    if min(size) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a size is at least 1")
    return size


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train a picture classifier on a frozen backbone, and export it for the model server.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "inspect", help="look at the data: what is broken, doubled, rare or leaking; one HTML page, and JSON"
    )
    command.set_defaults(run_command=inspection.run_inspection)
    inspection.add_options(command)

    command = commands.add_parser("records", help="write pictures as TFRecord shards")
    command.set_defaults(run_command=conversion.run_conversion)
    _add_data(command)
    conversion.add_options(command)

    command = commands.add_parser("train", help="train; with --models also export, measure and publish")
    command.set_defaults(run_command=_train)
    _add_train(command)
    distribution.add_options(command, machines=False)
    command.add_argument("--models", type=Path, help="publish into this folder of models")
    command.add_argument("--name", help="the model's name (default: TASK_classifier)")

    command = commands.add_parser("search", help="search the settings of heads, or of fine-tuning")
    searched = command.add_subparsers(required=True, metavar="WHAT")
    command = searched.add_parser("train", help="heads; takes the options of `train`")
    command.set_defaults(run_command=_search_heads)
    _add_train(command)
    searching.add_head_search_options(command)
    command = searched.add_parser("finetune", help="fine-tuning; takes the options of `finetune`")
    command.set_defaults(run_command=searching.run_finetune_search)
    add_options(command)
    command.add_argument("--size", type=size_of, default=(224, 224), help="the input: 224, or HEIGHTxWIDTH")
    searching.add_finetune_search_options(command)

    command = commands.add_parser(
        "ablate", help="fine-tune with one thing changed at a time; takes the options of `finetune`"
    )
    command.set_defaults(run_command=_ablate)
    add_options(command)
    command.add_argument("--size", type=size_of, default=(224, 224), help="the input: 224, or HEIGHTxWIDTH")
    variants.add_options(command)

    command = commands.add_parser("seeds", help="train heads with several seeds, and say what spreads")
    command.set_defaults(run_command=_seeds)
    _add_train(command)
    searching.add_seeds_options(command)

    command = commands.add_parser("clean", help="find likely wrong labels, and write a page to review them")
    command.set_defaults(run_command=_clean)
    _add_data(command)
    _add_split(command)
    cleaning.add_clean_options(command)
    _add_recipe(command)

    command = commands.add_parser("review", help="write the review page again, with other suspects")
    command.set_defaults(run_command=cleaning.run_review)
    cleaning.add_review_options(command)

    command = commands.add_parser(
        "leave-out", help="how a head does on the pictures of a source that it was never trained on"
    )
    command.set_defaults(run_command=_leave_out)
    _add_data(command)
    left_out.add_options(command)
    _add_recipe(command)

    command = commands.add_parser(
        "targets", help="split the pictures of all tasks together, and write what is known for every head"
    )
    command.set_defaults(run_command=labelling.run_targets)
    labelling.add_options(command)

    command = commands.add_parser("finetune", help="train the backbone too, from a finished run on")
    command.set_defaults(run_command=run_finetuning)
    add_options(command)
    distribution.add_options(command, machines=True)
    command.add_argument("--size", type=size_of, default=(224, 224), help="the input: 224, or HEIGHTxWIDTH")

    command = commands.add_parser(
        "refit", help="train heads beside the first anew on the features of a fine-tuned run"
    )
    command.set_defaults(run_command=refit.run_refit)
    refit.add_options(command)

    command = commands.add_parser("blend", help="take weights between a run's and those fine-tuned from it")
    command.set_defaults(run_command=blend.run_blending)
    blend.add_options(command)

    command = commands.add_parser(
        "export", help="export a finished run as the model's next version, and measure it"
    )
    command.set_defaults(run_command=_export)
    command.add_argument("--run", type=Path, required=True, help="the run's folder")
    command.add_argument("--data", type=Path, required=True, help="the folder of the run's pictures")
    command.add_argument("--backbone-weights", help="the weights file that the run used; default: imagenet")
    command.add_argument("--models", type=Path, required=True, help="publish into this folder of models")
    command.add_argument(
        "--task", default="sport", help="`product`: export the product types of a run with several heads"
    )
    command.add_argument("--name", help="the model's name (default: TASK_classifier)")

    command = commands.add_parser("evaluate", help="measure an exported version")
    command.set_defaults(run_command=_evaluate)
    _add_asked(command)
    command.add_argument("--output", type=Path, help="write the figures to this JSON file")

    command = commands.add_parser(
        "report", help="measure an exported version in depth: one HTML page, and the same figures as JSON"
    )
    command.set_defaults(run_command=_report)
    _add_asked(command)
    report.add_arguments(command)
    return parser


def _add_train(command: argparse.ArgumentParser) -> None:
    _add_data(command)
    command.add_argument("--cache", type=Path, required=True, help="the folder for hashes and features")
    command.add_argument("--run", type=Path, required=True, help="the folder for what this run writes")
    _add_split(command)
    cleaning.add_decision_options(command)
    _add_recipe(command)


def _add_split(command: argparse.ArgumentParser) -> None:
    command.add_argument("--split", type=Path, help="keep to the parts of a table that `targets` wrote")


def _add_asked(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model", type=Path, required=True, help="the version's folder, models/NAME/VERSION"
    )
    _add_data(command)
    command.add_argument("--split", type=Path, help="take the pictures of a run's split.csv")
    command.add_argument(
        "--part", choices=(*PARTS, "all"), default="test", help="which (default: %(default)s)"
    )


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        type=Path,
        required=True,
        help="a folder of class folders or of TFRecord shards, or the folder that the manifest means",
    )
    command.add_argument(
        "--manifest", type=Path, help="CSV or Parquet with file, label and, if known, task, source, licence"
    )
    command.add_argument(
        "--task",
        default="sport",
        help="which of the manifest's rows, or of the shards' (default: %(default)s)",
    )


def _add_recipe(command: argparse.ArgumentParser) -> None:
    run = TrainSettings()
    command.add_argument("--backbone", default="MobileNetV2", help="a class of keras.applications")
    command.add_argument(
        "--backbone-weights", help="a weights file; default: Keras' published ones, downloaded"
    )
    command.add_argument("--size", type=size_of, default=(224, 224), help="the input: 224, or HEIGHTxWIDTH")
    command.add_argument("--pooling", choices=POOLINGS, default=run.pooling)
    command.add_argument("--crops", type=int, default=run.crops, help="random crops of each training picture")
    command.add_argument("--validation", type=share, default=run.validation, help="share of the pictures")
    command.add_argument("--test", type=share, default=run.test, help="share of the pictures")
    command.add_argument(
        "--alike-cosine",
        type=float,
        default=run.cosine,
        help="cosine of features from which pictures stay together",
    )
    command.add_argument("--seed", type=int, default=run.seed)
    add_head_options(command)
    command.add_argument(
        "--final-on-train-only",
        action="store_true",
        help="ship the head of the training part, not of train+validation",
    )
