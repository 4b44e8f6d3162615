"""The command ``python -m catalogue``: checks sports, product types and models, and imports the Sports API's ids."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from catalogue.errors import CatalogueError
from catalogue.id_import import ImportResult, import_ids
from catalogue.model_cards import check_models
from catalogue.product_reading import PRODUCTS_FILE, load_products
from catalogue.reading import SPORTS_FILE, load_catalogue, parse_catalogue, read_json
from catalogue.sports_api import parse_dump
from catalogue.writing import format_catalogue, write_atomically


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The command line without the program's name; by default that of the process.

    Returns:
        The exit status: 0 when all is well, 1 when a file is not right; nothing was changed then. A command
        line that can't be understood ends the process with status 2.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "check":
            _check(options.catalogue, options.products, options.models)
        else:
            _import(options.catalogue, options.dump, options.output or options.catalogue)
    except CatalogueError as error:
        print(f"{error.source}:", *error.problems, sep="\n  ", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m catalogue", description="Look after the catalogue of sports."
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--catalogue",
        type=Path,
        default=SPORTS_FILE,
        metavar="FILE",
        help="the catalogue (default: the built-in one)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", parents=[shared], help="validate the catalogue and the product types"
    )
    check.add_argument(
        "--products",
        type=Path,
        default=PRODUCTS_FILE,
        metavar="FILE",
        help="the product types (default: the built-in ones)",
    )
    check.add_argument(
        "--models",
        type=Path,
        metavar="FOLDER",
        help="check what FOLDER/<name>/<version>/card.json names too",
    )
    importer = commands.add_parser(
        "import", parents=[shared], help="take over the Sports API's ids from a dump of its list of sports"
    )
    importer.add_argument(
        "dump", type=Path, help="the JSON:API document that the Sports API's /sports answers"
    )
    importer.add_argument(
        "--output", type=Path, metavar="FILE", help="write the catalogue there (default: in place)"
    )
    return parser


def _check(catalogue_file: Path, products_file: Path, models: Path | None) -> None:
    catalogue = load_catalogue(catalogue_file)
    official = sum(sport.id_source == "sports-api" for sport in catalogue.sports)
    print(
        f"{len(catalogue)} sports in {len(catalogue.groups)} groups; "
        f"{official} ids from the Sports API, {len(catalogue) - official} of ours."
    )
    products = load_products(catalogue, products_file)
    print(
        f"{len(products)} product types with {sum(len(one.groups) for one in products.types)} sports groups."
    )
    if models is not None:
        checked = check_models(catalogue, products, models)
        print(f"What {checked} model versions name is all in the catalogue.")


def _import(catalogue_file: Path, dump: Path, output: Path) -> None:
    catalogue = load_catalogue(catalogue_file)
    result = import_ids(catalogue, parse_dump(read_json(dump), str(dump)))
    text = format_catalogue(result.catalogue)
    # Nothing may be written that could not be read again.
    parse_catalogue(json.loads(text), f"{catalogue_file} with the ids of {dump}")
    if output != catalogue_file or result.mapped:
        write_atomically(output, text)
    _report(result)


def _report(result: ImportResult) -> None:
    print(f"{len(result.mapped)} ids replaced, {len(result.unchanged)} official already.")
    for sport, entry in result.mapped:
        print(f"  {sport.name}: {sport.id} → {entry.id} ({entry.slug})")
    print(f"{len(result.conflicts)} conflicts, left as they were.")
    for conflict in result.conflicts:
        print(f"  {conflict}")
    print(f"{len(result.ours_unmatched)} of our sports are not in the dump.")
    for sport in result.ours_unmatched:
        print(f"  {sport.id} {sport.name}")
    print(f"{len(result.theirs_unmatched)} sports of the dump are not in the catalogue.")
    for entry in result.theirs_unmatched:
        print(f"  {entry.id} {entry.name} ({entry.slug})")
