"""The catalogue as JSON:API documents, made once and sent many times."""

from collections import defaultdict
from collections.abc import Iterable

from app.caching import CacheableDocument
from app.catalogue_schemas import (
    GroupAttributes,
    GroupIdentifier,
    GroupRelationships,
    GroupResource,
    GroupSports,
    SelfLink,
    SportAttributes,
    SportChildren,
    SportGroup,
    SportIdentifier,
    SportParent,
    SportRelationships,
    SportResource,
)
from catalogue import Catalogue, Group, Sport, search_of_groups, search_of_sports

#: How many sports a search names at most.
MAX_FOUND = 50


class CatalogueDocuments:
    """Every document that the catalogue's endpoints answer with, serialised at the start.

    A search's document depends on its query, so it is joined from the sports' own bytes.

    Attributes:
        sports: All sports.
        parents: The sports that are no part of another one.
        groups: All groups.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._sport_search = search_of_sports(catalogue)
        self._group_search = search_of_groups(catalogue)
        self._resources = {
            resource.attributes.slug: resource.model_dump_json().encode()
            for resource in _sport_resources(catalogue)
        }
        self._sports = {slug: _one(resource) for slug, resource in self._resources.items()}
        self.sports = _many(self._resources.values())
        self.parents = self._listing(sport for sport in catalogue.sports if sport.parent is None)
        group_resources = {
            resource.attributes.slug: resource.model_dump_json().encode()
            for resource in _group_resources(catalogue)
        }
        self._groups = {slug: _one(resource) for slug, resource in group_resources.items()}
        self.groups = _many(group_resources.values())

    def sport(self, id_or_slug: str) -> CacheableDocument | None:
        """Return the sport that has this id, had it before, or has this slug; None if there is none."""
        sport = self._catalogue.by_id(id_or_slug) or self._catalogue.by_slug(id_or_slug)
        return None if sport is None else self._sports[sport.slug]

    def group(self, id_or_slug: str) -> CacheableDocument | None:
        """Return the group with this id or slug, or None."""
        group = self._catalogue.group_by_id(id_or_slug) or self._catalogue.group(id_or_slug)
        return None if group is None else self._groups[group.slug]

    def search(self, query: str, *, parents_only: bool) -> CacheableDocument:
        """Return the sports that the query may mean, best first and no more than `MAX_FOUND`."""
        found = self._sport_search.find(query, len(self._catalogue))
        wanted = [sport for sport in found if sport.parent is None or not parents_only]
        return self._listing(wanted[:MAX_FOUND])

    def sports_like(self, text: str, count: int) -> tuple[Sport, ...]:
        """Return the sports that somebody may have meant, best first."""
        return self._sport_search.find(text, count)

    def groups_like(self, text: str, count: int) -> tuple[Group, ...]:
        """Return the groups that somebody may have meant, best first."""
        return self._group_search.find(text, count)

    def _listing(self, sports: Iterable[Sport]) -> CacheableDocument:
        return _many(self._resources[sport.slug] for sport in sports)


def _one(resource: bytes) -> CacheableDocument:
    return CacheableDocument.of(b'{"data":' + resource + b"}")


def _many(resources: Iterable[bytes]) -> CacheableDocument:
    return CacheableDocument.of(b'{"data":[' + b",".join(resources) + b"]}")


def _sport_resources(catalogue: Catalogue) -> Iterable[SportResource]:
    group_ids = {group.slug: group.id for group in catalogue.groups}
    sport_ids = {sport.slug: sport.id for sport in catalogue.sports}
    children: defaultdict[str | None, list[SportIdentifier]] = defaultdict(list)
    for sport in catalogue.sports:
        children[sport.parent].append(SportIdentifier(id=sport.id))
    for sport in catalogue.sports:
        parent_id = None if sport.parent is None else sport_ids[sport.parent]
        yield SportResource(
            id=sport.id,
            attributes=SportAttributes(
                name=sport.name,
                parent_id=None if parent_id is None else int(parent_id),
                slug=sport.slug,
                environment=sport.environment,
                participation=sport.participation,
                id_source=sport.id_source,
                aliases=list(sport.aliases),
                former_ids=list(sport.former_ids),
            ),
            relationships=SportRelationships(
                children=SportChildren(data=children[sport.slug]),
                parent=SportParent(data=None if parent_id is None else SportIdentifier(id=parent_id)),
                group=SportGroup(data=GroupIdentifier(id=group_ids[sport.group])),
            ),
            links=SelfLink(self=f"/sports/{sport.id}"),
        )


def _group_resources(catalogue: Catalogue) -> Iterable[GroupResource]:
    members: defaultdict[str, list[SportIdentifier]] = defaultdict(list)
    for sport in catalogue.sports:
        members[sport.group].append(SportIdentifier(id=sport.id))
    for group in catalogue.groups:
        yield GroupResource(
            id=group.id,
            attributes=GroupAttributes(name=group.name, slug=group.slug),
            relationships=GroupRelationships(sports=GroupSports(data=members[group.slug])),
            links=SelfLink(self=f"/groups/{group.id}"),
        )
