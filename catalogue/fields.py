"""Reads one JSON object into a Sport or a Group, noting all that is wrong with it."""

from typing import Final, get_args

from catalogue.json_fields import NUMBER, SLUG, JsonFields
from catalogue.model import Environment, Group, IdSource, Participation, Sport

_GROUP_KEYS: Final = frozenset({"id", "slug", "name"})
_SPORT_KEYS: Final = _GROUP_KEYS | {"parent", "group", "environment", "participation", "id_source"}
_OPTIONAL_SPORT_KEYS: Final = frozenset({"former_ids", "aliases"})


def read_group(value: object, where: str) -> tuple[Group, list[str]]:
    """Read a group.

    Args:
        value: The JSON value, meant to be an object.
        where: How to name its place in a problem, such as "groups[3]".

    Returns:
        The group and the problems found. The group is fit for use only if there are none.
    """
    fields = JsonFields(value, where, _GROUP_KEYS, frozenset())
    group = Group(
        id=fields.matching("id", NUMBER, "a whole number of at most 18 digits"),
        slug=fields.matching("slug", SLUG, "lower-case words joined by hyphens"),
        name=fields.text("name"),
    )
    return group, fields.problems


def read_sport(value: object, where: str) -> tuple[Sport, list[str]]:
    """Read a sport.

    Args:
        value: The JSON value, meant to be an object.
        where: How to name its place in a problem, such as "sports[3]".

    Returns:
        The sport and the problems found. The sport is fit for use only if there are none.
    """
    fields = JsonFields(value, where, _SPORT_KEYS, _OPTIONAL_SPORT_KEYS)
    sport = Sport(
        id=fields.matching("id", NUMBER, "a whole number of at most 18 digits"),
        slug=fields.matching("slug", SLUG, "lower-case words joined by hyphens"),
        name=fields.text("name"),
        parent=fields.text_or_none("parent"),
        group=fields.text("group"),
        # one_of has noted any other value, and a sport with problems is never used.
        environment=fields.one_of("environment", get_args(Environment)),  # type: ignore[arg-type]
        participation=fields.one_of("participation", get_args(Participation)),  # type: ignore[arg-type]
        id_source=fields.one_of("id_source", get_args(IdSource)),  # type: ignore[arg-type]
        former_ids=fields.numbers("former_ids"),
        aliases=fields.texts("aliases"),
    )
    return sport, fields.problems
