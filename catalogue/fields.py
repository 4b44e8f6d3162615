"""Reads one JSON object into a Sport or a Group, noting all that is wrong with it."""

import re
from typing import Final, get_args

from catalogue.model import Environment, Group, IdSource, Participation, Sport

_SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NUMBER: Final = re.compile(r"[1-9][0-9]*")
_GROUP_KEYS: Final = frozenset({"id", "slug", "name"})
_SPORT_KEYS: Final = _GROUP_KEYS | {"parent", "group", "environment", "participation", "id_source"}
_OPTIONAL_SPORT_KEYS: Final = frozenset({"former_ids", "aliases"})


class _Fields:
    """One JSON object being read, with the problems that were met."""

    def __init__(self, value: object, where: str, required: frozenset[str], optional: frozenset[str]) -> None:
        self.problems: list[str] = []
        self._where = where
        self._values: dict[str, object] = value if isinstance(value, dict) else {}
        if not isinstance(value, dict):
            self._note("must be an object")
            return
        name = value.get("name")
        if isinstance(name, str):
            self._where = f"{where} ({name})"
        if missing := sorted(required - value.keys()):
            self._note(f"lacks {', '.join(missing)}")
        if unknown := sorted(value.keys() - required - optional):
            self._note(f"has unknown fields: {', '.join(unknown)}")

    def _note(self, problem: str) -> None:
        self.problems.append(f"{self._where} {problem}")

    def text(self, key: str) -> str:
        value = self._values.get(key)
        if isinstance(value, str) and value and value == value.strip():
            return value
        if key in self._values:
            self._note(f"needs a text without outer spaces as {key}, not {value!r}")
        return ""

    def text_or_none(self, key: str) -> str | None:
        return None if self._values.get(key) is None else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._values.get(key, [])
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            return tuple(value)
        self._note(f"needs a list of texts as {key}")
        return ()

    def matching(self, key: str, pattern: re.Pattern[str], kind: str) -> str:
        value = self.text(key)
        if value and not pattern.fullmatch(value):
            self._note(f"needs {kind} as {key}, not {value!r}")
        return value

    def numbers(self, key: str) -> tuple[str, ...]:
        values = self.texts(key)
        for value in values:
            if not _NUMBER.fullmatch(value):
                self._note(f"needs whole numbers as {key}, not {value!r}")
        return values

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.text(key)
        if value and value not in choices:
            self._note(f"needs one of {', '.join(choices)} as {key}, not {value!r}")
        return value


def read_group(value: object, where: str) -> tuple[Group, list[str]]:
    """Read a group.

    Args:
        value: The JSON value, meant to be an object.
        where: How to name its place in a problem, such as "groups[3]".

    Returns:
        The group and the problems found. The group is fit for use only if there are none.
    """
    fields = _Fields(value, where, _GROUP_KEYS, frozenset())
    group = Group(
        id=fields.matching("id", _NUMBER, "a whole number"),
        slug=fields.matching("slug", _SLUG, "lower-case words joined by hyphens"),
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
    fields = _Fields(value, where, _SPORT_KEYS, _OPTIONAL_SPORT_KEYS)
    sport = Sport(
        id=fields.matching("id", _NUMBER, "a whole number"),
        slug=fields.matching("slug", _SLUG, "lower-case words joined by hyphens"),
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
