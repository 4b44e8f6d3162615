"""Reads a dump of the Sports API: the JSON:API document that its list of sports answers."""

from dataclasses import dataclass

from catalogue.errors import CatalogueError
from catalogue.json_fields import LONE_SURROGATE, NUMBER


@dataclass(frozen=True, slots=True)
class ApiSport:
    """A sport as the Sports API knows it.

    Attributes:
        id: Its id, a whole number as text. The API itself writes it as text or as a number.
        slug: Its slug.
        name: Its name, in the locale of the dump.
    """

    id: str
    slug: str
    name: str


def parse_dump(document: object, source: str) -> tuple[ApiSport, ...]:
    """Make sports of a parsed dump.

    Args:
        document: The parsed JSON:API document: ``{"data": [{"id", "type": "sport", "attributes": {"name", "slug",
            ...}, ...}, ...]}``. Fields that are not named here are ignored.
        source: How errors shall name the document.

    Returns:
        The sports, in the order of the dump.

    Raises:
        CatalogueError: The document is not such a dump, holds no sport, or has an id twice. All problems are
            named at once.
    """
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, list):
        raise CatalogueError(
            source, ['is not a dump of the Sports API: a JSON object with a list "data" of sports is needed']
        )
    sports: list[ApiSport] = []
    problems: list[str] = []
    for position, resource in enumerate(data):
        sport = _read_resource(resource)
        if isinstance(sport, ApiSport):
            sports.append(sport)
        else:
            problems.append(f"data[{position}] {sport}")
    seen: dict[str, ApiSport] = {}
    for sport in sports:
        if sport.id in seen:
            problems.append(f"the id {sport.id} occurs twice: {seen[sport.id].name} and {sport.name}")
        seen[sport.id] = sport
    if not data:
        problems.append('the list "data" is empty')
    if problems:
        raise CatalogueError(source, problems)
    return tuple(sports)


def _read_resource(resource: object) -> ApiSport | str:
    """Return the sport, or what is wrong with the resource."""
    if not isinstance(resource, dict):
        return "must be an object"
    kind = resource.get("type")
    if kind != "sport":
        return f'must be of the type "sport", not {kind!r}'
    number = resource.get("id")
    # JSON's true is a Python int, but no id.
    text = str(number) if isinstance(number, int | str) and not isinstance(number, bool) else ""
    if not NUMBER.fullmatch(text):
        return f"needs a whole number of at most 18 digits as id, not {number!r}"
    attributes = resource.get("attributes")
    if not isinstance(attributes, dict):
        return f"(id {text}) needs an object as attributes"
    name, slug = attributes.get("name"), attributes.get("slug")
    if not isinstance(name, str) or not name.strip() or not isinstance(slug, str) or not slug.strip():
        return f"(id {text}) needs texts as attributes name and slug"
    if LONE_SURROGATE.search(name + slug):
        return f"(id {text}) has a name or slug that UTF-8 cannot hold: {name!r}, {slug!r}"
    return ApiSport(id=text, slug=slug.strip(), name=name.strip())
