"""The options of `python -m training report`, and what it prints."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from training.data import Picture
from training.report.pieces import percent


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options that only this command has."""
    command.add_argument("--output", type=Path, required=True, help="the report's folder")
    command.add_argument(
        "--main-source",
        action="append",
        default=[],
        metavar="SOURCE",
        help="a source of the main set, which is told apart from the rest; may be given again",
    )
    command.add_argument(
        "--robustness",
        type=int,
        default=300,
        metavar="PICTURES",
        help="how many pictures are also asked distorted; 0: none (default: %(default)s)",
    )
    command.add_argument("--no-pictures", action="store_true", help="a page without pictures, names only")


def run(options: argparse.Namespace, pictures: Sequence[Picture]) -> None:
    """Write the report of the options' model on pictures, and print its first figures."""
    # Here, as they start TensorFlow, which asks an exported model and is not needed to train with another backend.
    from training.report.make import write_report
    from training.split_file import read_places

    groups = read_places(options.split, pictures)[1] if options.split is not None else None
    report = write_report(
        options.model,
        pictures,
        options.output,
        groups=groups,
        part=options.part if options.split is not None else "all",
        main_sources=options.main_source,
        sample=max(0, options.robustness),
        thumbnails=not options.no_pictures,
        task=options.task,
    )
    for row in report["segments"]:
        shares = ", ".join(
            f"{top.replace('top', 'top-')} {percent(row[top]['share'])} "
            f"({percent(row[top]['bootstrap'][0])} to {percent(row[top]['bootstrap'][1])})"
            for top in ("top1", "top3", "top5")
        )
        print(f"{row['name']}: {row['pictures']} pictures, {shares}")
    found = report["calibration"]
    if found["without_temperature"] is not None:
        print(f"calibration error without the temperature {percent(found['without_temperature']['error'])}")
    print(f"calibration error as served {percent(found['served']['error'])}")
    print(f"written {options.output / 'index.html'}")
