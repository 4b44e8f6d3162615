"""Reads and validates a catalogue file."""

import json
from pathlib import Path
from typing import Final

from catalogue.errors import CatalogueError
from catalogue.fields import read_group, read_sport
from catalogue.model import Catalogue
from catalogue.rules import broken_rules

SPORTS_FILE: Final = Path(__file__).with_name("sports.json")
"""The catalogue that belongs to this package."""


def load_catalogue(path: Path = SPORTS_FILE) -> Catalogue:
    """Read a catalogue file.

    Args:
        path: The file; by default the one of this package.

    Returns:
        The validated catalogue.

    Raises:
        CatalogueError: The file can't be read, is not JSON in UTF-8, or breaks a rule. All problems are named
            at once.
    """
    return parse_catalogue(read_json(path), str(path))


def parse_catalogue(document: object, source: str) -> Catalogue:
    """Make a catalogue of a parsed JSON document.

    Args:
        document: What ``json`` made of the file: an object with the lists "groups" and "sports".
        source: How errors shall name the document.

    Returns:
        The validated catalogue.

    Raises:
        CatalogueError: The document is not of that form, or breaks a rule.
    """
    if not isinstance(document, dict):
        raise CatalogueError(source, ["the document must be an object with the lists groups and sports"])
    problems = [
        f"{key} must be a list" for key in ("groups", "sports") if not isinstance(document.get(key), list)
    ]
    if problems:
        raise CatalogueError(source, problems)

    groups = []
    for position, value in enumerate(document["groups"]):
        group, found = read_group(value, f"groups[{position}]")
        groups.append(group)
        problems += found
    sports = []
    for position, value in enumerate(document["sports"]):
        sport, found = read_sport(value, f"sports[{position}]")
        sports.append(sport)
        problems += found
    # The rules among sports take well-formed fields for granted.
    problems = problems or broken_rules(sports, groups)
    if problems:
        raise CatalogueError(source, problems)
    return Catalogue(sports, groups)


def read_json(path: Path) -> object:
    """Parse a JSON file.

    Raises:
        CatalogueError: The file can't be read, or is not JSON in UTF-8.
    """
    try:
        document: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogueError(str(path), [f"can't be read: {error.strerror or error}"]) from error
    except UnicodeDecodeError as error:
        raise CatalogueError(str(path), [f"is not UTF-8 text: {error}"]) from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise CatalogueError(str(path), [f"is not JSON: {error}"]) from error
    except ValueError as error:
        # A number of more digits than int() takes.
        raise CatalogueError(str(path), [f"can't be read: {error}"]) from error
    return document
