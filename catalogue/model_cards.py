"""Checks that the classes of models are sports of the catalogue."""

from pathlib import Path

from catalogue.errors import CatalogueError
from catalogue.model import Catalogue
from catalogue.reading import read_json

CARD = "card.json"


def check_models(catalogue: Catalogue, models: Path) -> int:
    """Check the card of every version of every model: each class must be a sport of the catalogue by id and name.

    An id that the sport had before is right too: the model was trained then.

    Args:
        catalogue: The catalogue.
        models: The folder ``models/``, with ``<name>/<version>/card.json`` in it. A card names its classes as
            ``"classes": [{"id": ..., "name": ...}, ...]``.

    Returns:
        How many versions were checked.

    Raises:
        CatalogueError: A class is not in the catalogue or goes by another name, a version has no readable card,
            or there is no version at all. All problems are named at once.
    """
    versions = sorted(path for path in models.glob("*/*") if path.is_dir() and path.name.isdigit())
    if not versions:
        raise CatalogueError(str(models), ["has no model in it: <name>/<version>/ is looked for"])
    problems = [
        f"{version.parent.name}/{version.name}: {problem}"
        for version in versions
        for problem in _card_problems(catalogue, version / CARD)
    ]
    if problems:
        raise CatalogueError(str(models), problems)
    return len(versions)


def _card_problems(catalogue: Catalogue, path: Path) -> list[str]:
    try:
        card = read_json(path)
    except CatalogueError as error:
        return [f"{CARD} {problem}" for problem in error.problems]
    classes = card.get("classes") if isinstance(card, dict) else None
    if not isinstance(classes, list) or not classes:
        return [f'{CARD} needs a list "classes" that is not empty']
    return [problem for one in classes if (problem := _class_problem(catalogue, one)) is not None]


def _class_problem(catalogue: Catalogue, one: object) -> str | None:
    sport_id, name = (one.get("id"), one.get("name")) if isinstance(one, dict) else (None, None)
    if not isinstance(sport_id, str) or not isinstance(name, str):
        return f"a class needs texts as id and name, not {one!r}"
    sport = catalogue.by_id(sport_id)
    if sport is None:
        return f"the class {name!r} has the id {sport_id}, which no sport of the catalogue has"
    if sport.name != name:
        return f"the class {sport_id} is called {name!r}, but the catalogue calls it {sport.name!r}"
    return None
