"""Gives our sports the ids that the Sports API knows them by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from catalogue.model import FIRST_OWN_ID, Catalogue, Sport
from catalogue.sports_api import ApiSport


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import made of a catalogue.

    Attributes:
        catalogue: The catalogue with the official ids.
        mapped: Our sports, as they were, each with the sport of the API whose id it has now.
        unchanged: Our sports that had the official id already.
        ours_unmatched: Our sports that the dump does not have.
        theirs_unmatched: Sports of the dump that we do not have.
        conflicts: A sentence for every id that a person must decide about; nothing was changed there.
    """

    catalogue: Catalogue
    mapped: tuple[tuple[Sport, ApiSport], ...]
    unchanged: tuple[Sport, ...]
    ours_unmatched: tuple[Sport, ...]
    theirs_unmatched: tuple[ApiSport, ...]
    conflicts: tuple[str, ...]


def import_ids(catalogue: Catalogue, api_sports: Sequence[ApiSport]) -> ImportResult:
    """Replace ids of ours by those of the Sports API.

    Sports are matched by id where ours is official already, then by slug, then by name or alias. A replaced id
    stays in ``former_ids``, because models name it. Importing the same dump again changes nothing.

    Args:
        catalogue: The catalogue; it stays as it is.
        api_sports: The sports of the API; no id occurs twice.
    """
    matching = _Matching(catalogue)
    by_id, rest = _split_by_id(catalogue, api_sports)
    for sport, entry in by_id:
        matching.confirm(sport, entry)
    rest = [entry for entry in rest if matching.usable(entry)]
    rest = matching.match(rest, lambda entry: catalogue.by_slug(entry.slug))
    rest = matching.match(rest, lambda entry: catalogue.by_name(entry.name))
    return matching.result(rest)


def _split_by_id(
    catalogue: Catalogue, api_sports: Sequence[ApiSport]
) -> tuple[list[tuple[Sport, ApiSport]], list[ApiSport]]:
    official = {sport.id: sport for sport in catalogue.sports if sport.id_source == "sports-api"}
    known = [(official[entry.id], entry) for entry in api_sports if entry.id in official]
    return known, [entry for entry in api_sports if entry.id not in official]


class _Matching:
    """The pairs found so far, and what stands in the way of others."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._mapped: dict[str, ApiSport] = {}
        self._confirmed: set[str] = set()
        self._disputed: set[str] = set()
        self._conflicts: list[str] = []

    def confirm(self, sport: Sport, entry: ApiSport) -> None:
        """Note that the dump has a sport under the official id that we hold for it."""
        if entry.slug == sport.slug or self._catalogue.by_name(entry.name) is sport:
            self._confirmed.add(sport.slug)
        else:
            self._dispute(sport, f"the id {sport.id} is {sport.name!r} here, but {entry.name!r} in the dump")

    def usable(self, entry: ApiSport) -> bool:
        """Say whether an id of the dump can enter the catalogue; if not, note the conflict."""
        if int(entry.id) < FIRST_OWN_ID:
            return True
        self._conflicts.append(
            f"the dump's id {entry.id} ({entry.name}) lies among ours, which start at {FIRST_OWN_ID}"
        )
        return False

    def match(self, entries: Sequence[ApiSport], find: Callable[[ApiSport], Sport | None]) -> list[ApiSport]:
        """Pair entries with the sports that ``find`` names, and return those that it names none for."""
        unmatched: list[ApiSport] = []
        found: dict[Sport, list[ApiSport]] = {}
        for entry in entries:
            sport = find(entry)
            # A sport that a stronger rule has paired is no candidate of a weaker one.
            if sport is None or sport.slug in self._mapped:
                unmatched.append(entry)
            else:
                found.setdefault(sport, []).append(entry)
        for sport, claims in found.items():
            if sport.id_source == "sports-api" or len(claims) > 1 or sport.slug in self._disputed:
                offers = ", ".join(f"{entry.id} ({entry.name}, {entry.slug})" for entry in claims)
                self._dispute(sport, f"{sport.name} has the id {sport.id} here, but the dump offers {offers}")
            else:
                self._mapped[sport.slug] = claims[0]
        return unmatched

    def _dispute(self, sport: Sport, conflict: str) -> None:
        self._disputed.add(sport.slug)
        self._conflicts.append(conflict)

    def result(self, theirs_unmatched: Sequence[ApiSport]) -> ImportResult:
        """Return the new catalogue and the report."""
        sports = self._catalogue.sports
        renumbered = [
            _renumber(sport, self._mapped[sport.slug]) if sport.slug in self._mapped else sport
            for sport in sports
        ]
        touched = self._mapped.keys() | self._confirmed | self._disputed
        return ImportResult(
            catalogue=Catalogue(renumbered, self._catalogue.groups),
            mapped=tuple((sport, self._mapped[sport.slug]) for sport in sports if sport.slug in self._mapped),
            unchanged=tuple(sport for sport in sports if sport.slug in self._confirmed),
            ours_unmatched=tuple(sport for sport in sports if sport.slug not in touched),
            theirs_unmatched=tuple(theirs_unmatched),
            conflicts=tuple(self._conflicts),
        )


def _renumber(sport: Sport, entry: ApiSport) -> Sport:
    return replace(sport, id=entry.id, id_source="sports-api", former_ids=(*sport.former_ids, sport.id))
