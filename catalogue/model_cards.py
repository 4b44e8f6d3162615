"""Checks that what models name is in the catalogue: the classes of sport models, the taxonomy of product models."""

from pathlib import Path

from catalogue.errors import CatalogueError
from catalogue.model import Catalogue
from catalogue.products import ProductGroup, Products, ProductType
from catalogue.reading import read_json

CARD = "card.json"


def check_models(catalogue: Catalogue, products: Products, models: Path) -> int:
    """Check the card of every version of every model.

    A sport model's classes must be sports of the catalogue by id and name; an id that the sport had before is right
    too, as the model was trained then. A product model's types and groups must be in the taxonomy, by id and name,
    and each group must stand for the same sports.

    Args:
        catalogue: The catalogue.
        products: The product types.
        models: The folder ``models/``, with ``<name>/<version>/card.json`` in it. The card of a sport model names its
            classes as ``"classes": [{"id": ..., "name": ...}, ...]``, that of a product model its types as
            ``"types": [{"id": ..., "name": ..., "groups": [{"name": ..., "sports": [id, ...]}, ...]}, ...]``.

    Returns:
        How many versions were checked.

    Raises:
        CatalogueError: Something is not in the catalogue or goes by another name, a version has no readable card,
            or there is no version at all. All problems are named at once.
    """
    versions = sorted(path for path in models.glob("*/*") if path.is_dir() and path.name.isdigit())
    if not versions:
        raise CatalogueError(str(models), ["has no model in it: <name>/<version>/ is looked for"])
    problems = [
        f"{version.parent.name}/{version.name}: {problem}"
        for version in versions
        for problem in _card_problems(catalogue, products, version / CARD)
    ]
    if problems:
        raise CatalogueError(str(models), problems)
    return len(versions)


def _card_problems(catalogue: Catalogue, products: Products, path: Path) -> list[str]:
    try:
        card = read_json(path)
    except CatalogueError as error:
        return [f"{CARD} {problem}" for problem in error.problems]
    if isinstance(card, dict):
        match card.get("classes"), card.get("types"):
            case [_, *_] as classes, None:
                return [problem for one in classes if (problem := _class_problem(catalogue, one)) is not None]
            case None, [_, *_] as types:
                return [problem for one in types for problem in _type_problems(catalogue, products, one)]
    return [f'{CARD} needs either a list "classes" (of sports) or a list "types" (of products), not empty']


def _class_problem(catalogue: Catalogue, one: object) -> str | None:
    sport_id, name = _fields(one, "id", "name")
    if not isinstance(sport_id, str) or not isinstance(name, str):
        return f"a class needs texts as id and name, not {one!r}"
    sport = catalogue.by_id(sport_id)
    if sport is None:
        return f"the class {name!r} has the id {sport_id}, which no sport of the catalogue has"
    if sport.name != name:
        return f"the class {sport_id} is called {name!r}, but the catalogue calls it {sport.name!r}"
    return None


def _type_problems(catalogue: Catalogue, products: Products, one: object) -> list[str]:
    type_id, name, groups = _fields(one, "id", "name", "groups")
    if (
        not isinstance(type_id, str)
        or not isinstance(name, str)
        or not isinstance(groups, list)
        or not groups
    ):
        return [f"a type needs texts as id and name and a list of groups, not {one!r}"]
    known = products.by_id(type_id)
    if known is None:
        return [f"the type {name!r} has the id {type_id!r}, which no product type has"]
    if known.name != name:
        return [f"the type {type_id} is called {name!r}, but the taxonomy calls it {known.name!r}"]
    return [
        f"the type {name!r}: {problem}"
        for group in groups
        if (problem := _group_problem(catalogue, known, group)) is not None
    ]


def _group_problem(catalogue: Catalogue, known: ProductType, one: object) -> str | None:
    name, sports = _fields(one, "name", "sports")
    if not isinstance(name, str) or not isinstance(sports, list):
        return f"a group needs a text as name and a list of sports, not {one!r}"
    group = next((group for group in known.groups if group.name == name), None)
    if group is None:
        return f"the group {name!r} is not one of the type's groups in the taxonomy"
    return (
        None
        if _same_sports(catalogue, group, sports)
        else (
            f"the group {name!r} stands for the sports {sports}, but in the taxonomy for {list(group.sport_ids)}"
        )
    )


def _same_sports(catalogue: Catalogue, group: ProductGroup, sports: list[object]) -> bool:
    # Ids that the sports had when the model was trained are right too.
    found = [catalogue.by_id(one) if isinstance(one, str) else None for one in sports]
    return found == list(group.sports)


def _fields(value: object, *keys: str) -> tuple[object, ...]:
    return tuple(value.get(key) if isinstance(value, dict) else None for key in keys)
