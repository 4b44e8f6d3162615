"""Reads and validates a file of product types."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from catalogue.errors import CatalogueError
from catalogue.json_fields import SLUG, JsonFields
from catalogue.model import Catalogue, Sport
from catalogue.products import ProductGroup, Products, ProductType
from catalogue.reading import read_json

PRODUCTS_FILE: Final = Path(__file__).with_name("products.json")
"""The product types that belong to this package."""

_TYPE_KEYS: Final = frozenset({"id", "name", "groups"})
_GROUP_KEYS: Final = frozenset({"name", "sports", "labels"})


def load_products(catalogue: Catalogue, path: Path = PRODUCTS_FILE) -> Products:
    """Read a file of product types.

    Args:
        catalogue: The sports that the groups name by slug.
        path: The file; by default the one of this package.

    Returns:
        The validated types.

    Raises:
        CatalogueError: The file can't be read, is not JSON in UTF-8, or breaks a rule. All problems are named
            at once.
    """
    return parse_products(read_json(path), catalogue, str(path))


def parse_products(document: object, catalogue: Catalogue, source: str) -> Products:
    """Make product types of a parsed JSON document.

    Args:
        document: What ``json`` made of the file: an object with the list "types".
        catalogue: The sports that the groups name by slug.
        source: How errors shall name the document.

    Returns:
        The validated types.

    Raises:
        CatalogueError: The document is not of that form, or breaks a rule.
    """
    if not isinstance(document, dict) or not isinstance(document.get("types"), list):
        raise CatalogueError(source, ["the document must be an object with the list types"])
    problems: list[str] = []
    types = [
        _read_type(value, f"types[{position}]", catalogue, problems)
        for position, value in enumerate(document["types"])
    ]
    # The rules among types take well-formed fields for granted.
    problems = problems or _broken_rules(types)
    if problems:
        raise CatalogueError(source, problems)
    return Products(types)


def _read_type(value: object, where: str, catalogue: Catalogue, problems: list[str]) -> ProductType:
    fields = JsonFields(value, where, _TYPE_KEYS, frozenset({"unknown_labels"}))
    name = fields.text("name")
    found = ProductType(
        id=fields.matching("id", SLUG, "lower-case words joined by hyphens"),
        name=name,
        groups=tuple(
            _read_group(group, f"{name or where}: groups[{position}]", catalogue, problems)
            for position, group in enumerate(fields.filled_list("groups"))
        ),
        unknown_labels=fields.texts("unknown_labels"),
    )
    problems += fields.problems
    return found


def _read_group(value: object, where: str, catalogue: Catalogue, problems: list[str]) -> ProductGroup:
    fields = JsonFields(value, where, _GROUP_KEYS, frozenset())
    name, labels = fields.text("name"), fields.texts("labels")
    sports: list[Sport] = []
    for slug in fields.filled_list("sports"):
        sport = catalogue.by_slug(slug) if isinstance(slug, str) else None
        if sport is None:
            problems.append(f"{where} ({name}) names the sport {slug!r}, which is not in the catalogue")
        else:
            sports.append(sport)
    problems += fields.problems
    return ProductGroup(name=name, sports=tuple(sports), labels=labels)


def _broken_rules(types: Iterable[ProductType]) -> list[str]:
    types = tuple(types)
    problems = [
        *_repeated("product type id", (one.id for one in types)),
        *_repeated("product type name", (one.name.casefold() for one in types)),
    ]
    for one in types:
        labels = [label for group in one.groups for label in group.labels]
        problems += _repeated(f"{one.name}: group name", (group.name.casefold() for group in one.groups))
        problems += _repeated(f"{one.name}: label", [*labels, *one.unknown_labels])
        for group in one.groups:
            problems += _repeated(f"{one.name}: {group.name}: sport", (sport.slug for sport in group.sports))
    return problems


def _repeated(kind: str, keys: Iterable[str]) -> list[str]:
    return [f"{kind} {key!r} is used more than once" for key, count in Counter(keys).items() if count > 1]
