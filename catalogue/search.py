"""Finds things by what people type: parts of names, without their accents, or slightly misspelt."""

import re
import unicodedata
from collections.abc import Iterable
from difflib import SequenceMatcher
from enum import IntEnum
from typing import Final, Generic, TypeVar

from catalogue.model import Catalogue, Group, Sport

T = TypeVar("T")

# How similar a name must be to a misspelt query, by difflib's measure from 0 to 1: one wrong letter in four will do.
_CLOSE: Final = 0.75
# Names further than this behind the closest are other names rather than other readings.
_MARGIN: Final = 0.1
_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")


class _Match(IntEnum):
    """How a name contains the query, best first."""

    EXACT = 0
    PREFIX = 1
    WORD_PREFIX = 2
    SUBSTRING = 3


def fold(text: str) -> str:
    """Return the text in the form that names are compared in.

    Without case and accents (Unicode's compatibility decomposition less its combining marks), every run of spaces
    and punctuation one space, none outside: "  Mölkky! " and "molkky" are alike, as are a name and its slug.
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return _BETWEEN_WORDS.sub(" ", plain).strip()


class NameSearch(Generic[T]):
    """Searches things by their names. Made once, it can't be changed."""

    def __init__(self, things: Iterable[tuple[T, Iterable[str]]]) -> None:
        """Take the things in the order that settles ties, each with all its names."""
        self._things: list[T] = []
        self._names: list[tuple[str, ...]] = []
        # Every name and every word of one, with the things that have it and how long that name is.
        self._pieces: dict[str, list[tuple[int, int]]] = {}
        for position, (thing, names) in enumerate(things):
            folded = tuple(dict.fromkeys(fold(name) for name in names))
            self._things.append(thing)
            self._names.append(folded)
            for name in folded:
                for piece in {name, *name.split()}:
                    self._pieces.setdefault(piece, []).append((position, len(name)))

    def find(self, query: str, limit: int) -> tuple[T, ...]:
        """Return the things that the query may mean, best first.

        First those with a name that is the query, then begins with it, then has a word that begins with it, then
        contains it; among equals the shortest name comes first. Only where there is none at all, the query counts
        as misspelt, and those are returned that have a name or a word close to it, closest first (the ratio of
        Python's difflib, by Ratcliff and Obershelp).

        Args:
            query: What was typed. Case, accents and punctuation make no difference.
            limit: How many to return at most.

        Returns:
            The things; none where nothing is close, or where the query has neither letters nor digits.
        """
        wanted = fold(query)
        if not wanted:
            return ()
        positions = self._containing(wanted) or self._close_to(wanted)
        return tuple(self._things[position] for position in positions[:limit])

    def _containing(self, wanted: str) -> list[int]:
        ranked = []
        for position, names in enumerate(self._names):
            matches = [(_match(name, wanted), len(name)) for name in names if wanted in name]
            if matches:
                ranked.append((min(matches), position))
        return [position for _, position in sorted(ranked)]

    def _close_to(self, wanted: str) -> list[int]:
        matcher = SequenceMatcher(autojunk=False)
        # difflib studies its second sequence once and compares it with many first ones.
        matcher.set_seq2(wanted)
        best: dict[int, tuple[float, int]] = {}
        for piece, holders in self._pieces.items():
            matcher.set_seq1(piece)
            # Upper bounds of the ratio, which cost far less than the ratio itself.
            if matcher.real_quick_ratio() < _CLOSE or matcher.quick_ratio() < _CLOSE:
                continue
            distance = 1 - matcher.ratio()
            if distance > 1 - _CLOSE:
                continue
            for position, length in holders:
                best[position] = min((distance, length), best.get(position, (distance, length)))
        ranked = sorted((rank, position) for position, rank in best.items())
        return [position for (distance, _), position in ranked if distance <= ranked[0][0][0] + _MARGIN]


def _match(name: str, wanted: str) -> _Match:
    if name == wanted:
        return _Match.EXACT
    if name.startswith(wanted):
        return _Match.PREFIX
    return _Match.WORD_PREFIX if f" {wanted}" in name else _Match.SUBSTRING


def search_of_sports(catalogue: Catalogue) -> NameSearch[Sport]:
    """Return a search of the sports by name, slug and alias."""
    return NameSearch((sport, (sport.name, sport.slug, *sport.aliases)) for sport in catalogue.sports)


def search_of_groups(catalogue: Catalogue) -> NameSearch[Group]:
    """Return a search of the groups by name and slug."""
    return NameSearch((group, (group.name, group.slug)) for group in catalogue.groups)
