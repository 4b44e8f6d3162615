"""Takes the fields out of one JSON object of a data file, noting all that is wrong with them."""

import re
from typing import Final

SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
"""A whole number that fits into 64 bits anywhere; int() itself takes no text of more than 4,300 digits."""
LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can name (as "\\ud800") and UTF-8 cannot hold."""


class JsonFields:
    """One JSON object being read. What is asked of it is noted in `problems` where it is not of that form.

    Attributes:
        problems: A sentence for each, with the place.
    """

    def __init__(self, value: object, where: str, required: frozenset[str], optional: frozenset[str]) -> None:
        self.problems: list[str] = []
        self._where = where
        self._values: dict[str, object] = value if isinstance(value, dict) else {}
        if not isinstance(value, dict):
            self._note("must be an object")
            return
        name = value.get("name")
        if isinstance(name, str) and not LONE_SURROGATE.search(name):
            self._where = f"{where} ({name})"
        if missing := sorted(required - value.keys()):
            self._note(f"lacks {', '.join(missing)}")
        if unknown := sorted(value.keys() - required - optional):
            self._note(f"has unknown fields: {', '.join(unknown)}")

    def _note(self, problem: str) -> None:
        self.problems.append(f"{self._where} {problem}")

    def text(self, key: str) -> str:
        """Return a text; "" with a problem where it is none, is empty, has outer spaces or is no UTF-8."""
        value = self._values.get(key)
        if isinstance(value, str) and value and value == value.strip():
            if not LONE_SURROGATE.search(value):
                return value
            self._note(f"needs a text that UTF-8 can hold as {key}, not {value!r}")
        elif key in self._values:
            self._note(f"needs a text without outer spaces as {key}, not {value!r}")
        return ""

    def text_or_none(self, key: str) -> str | None:
        """Return a text, or None where there is none or null."""
        return None if self._values.get(key) is None else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, none of them empty; () where there is none, and, noted, for any other value."""
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self._note(f"needs a list of texts as {key}")
            return ()
        for item in value:
            if LONE_SURROGATE.search(item):
                self._note(f"needs texts that UTF-8 can hold as {key}, not {item!r}")
        return tuple(value)

    def filled_list(self, key: str) -> list[object]:
        """Return a list; [] with a problem where it is none or empty."""
        value = self._values.get(key)
        if isinstance(value, list) and value:
            return value
        if key in self._values:
            self._note(f"needs a list that is not empty as {key}")
        return []

    def matching(self, key: str, pattern: re.Pattern[str], kind: str) -> str:
        """Return a text of the form that `pattern` describes, and `kind` names."""
        value = self.text(key)
        if value and not pattern.fullmatch(value):
            self._note(f"needs {kind} as {key}, not {value!r}")
        return value

    def numbers(self, key: str) -> tuple[str, ...]:
        """Return a list of whole numbers, as texts."""
        values = self.texts(key)
        for value in values:
            if not NUMBER.fullmatch(value):
                self._note(f"needs whole numbers of at most 18 digits as {key}, not {value!r}")
        return values

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        """Return a text that is one of the choices."""
        value = self.text(key)
        if value and value not in choices:
            self._note(f"needs one of {', '.join(choices)} as {key}, not {value!r}")
        return value
