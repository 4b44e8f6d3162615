"""The sports, their groups, and the catalogue that finds them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Environment = Literal["indoor", "outdoor", "both"]
Participation = Literal["single", "team", "both"]
IdSource = Literal["sports-api", "sportvision"]

FIRST_OWN_ID = 10001
"""Ids from here up are ours; the Sports API's own stay below it."""


@dataclass(frozen=True, slots=True)
class Group:
    """A family of sports.

    Attributes:
        id: A number as text, unique among groups.
        slug: Lower-case words joined by hyphens, unique among groups.
        name: The name, capitalised.
    """

    id: str
    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class Sport:
    """One sport of the catalogue.

    Attributes:
        id: A number as text: the id in the Sports API, or one of ours from 10001 up.
        slug: Lower-case words joined by hyphens, unique.
        name: The name that answers use, unique whatever the case.
        parent: Slug of the sport that this one is a part of, or None.
        group: Slug of the sport's group.
        environment: Where it is practised; "both" where both are common.
        participation: "single" for one person, or one against one; "team" for two or more on a side,
            pairs and crews included; "both" where both are common.
        id_source: Whose id it is.
        former_ids: Ids that this sport had before; models trained then still name them.
        aliases: Other names for the very same sport.
    """

    id: str
    slug: str
    name: str
    parent: str | None
    group: str
    environment: Environment
    participation: Participation
    id_source: IdSource
    former_ids: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class Catalogue:
    """The sports and their groups, found by id, slug or name in constant time.

    Made by ``load_catalogue`` or ``parse_catalogue``, which have validated the data; it can't be changed.

    Attributes:
        sports: Every sport, in the order of the file.
        groups: Every group, in the order of the file.
    """

    __slots__ = ("_by_id", "_by_name", "_by_slug", "_groups_by_id", "_groups_by_slug", "groups", "sports")

    def __init__(self, sports: Iterable[Sport], groups: Iterable[Group]) -> None:
        self.sports: tuple[Sport, ...] = tuple(sports)
        self.groups: tuple[Group, ...] = tuple(groups)
        self._by_id: Mapping[str, Sport] = MappingProxyType(
            {one: sport for sport in self.sports for one in (sport.id, *sport.former_ids)}
        )
        self._by_slug: Mapping[str, Sport] = MappingProxyType({sport.slug: sport for sport in self.sports})
        self._by_name: Mapping[str, Sport] = MappingProxyType(
            {name.casefold(): sport for sport in self.sports for name in (sport.name, *sport.aliases)}
        )
        self._groups_by_id: Mapping[str, Group] = MappingProxyType({group.id: group for group in self.groups})
        self._groups_by_slug: Mapping[str, Group] = MappingProxyType(
            {group.slug: group for group in self.groups}
        )

    def by_id(self, sport_id: str) -> Sport | None:
        """Return the sport that has this id, or had it before; None if there is none."""
        return self._by_id.get(sport_id)

    def by_slug(self, slug: str) -> Sport | None:
        """Return the sport with this slug, or None."""
        return self._by_slug.get(slug)

    def by_name(self, name: str) -> Sport | None:
        """Return the sport with this name or alias, whatever its case; None if there is none."""
        return self._by_name.get(name.strip().casefold())

    def group(self, slug: str) -> Group | None:
        """Return the group with this slug, or None."""
        return self._groups_by_slug.get(slug)

    def group_by_id(self, group_id: str) -> Group | None:
        """Return the group with this id, or None."""
        return self._groups_by_id.get(group_id)

    def ancestors(self, sport: Sport) -> tuple[Sport, ...]:
        """Return the sports that this one is a part of, nearest first."""
        found: list[Sport] = []
        slug = sport.parent
        while slug is not None:
            parent = self._by_slug[slug]
            found.append(parent)
            slug = parent.parent
        return tuple(found)

    def __len__(self) -> int:
        return len(self.sports)
