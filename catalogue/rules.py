"""The rules that the sports and groups of a catalogue keep among themselves."""

from collections.abc import Iterable, Sequence

from catalogue.model import FIRST_OWN_ID, Group, Sport


def broken_rules(sports: Sequence[Sport], groups: Sequence[Group]) -> list[str]:
    """Return a sentence for every rule that is broken; an empty list for a sound catalogue.

    Args:
        sports: Sports whose fields are each of the right form.
        groups: Groups whose fields are each of the right form.
    """
    return [
        *_duplicates("group id", ((group.id, group.name) for group in groups)),
        *_duplicates("group slug", ((group.slug, group.name) for group in groups)),
        *_duplicates("group name", ((group.name.casefold(), group.name) for group in groups)),
        *_duplicates(
            "sport id", ((one, sport.name) for sport in sports for one in (sport.id, *sport.former_ids))
        ),
        *_duplicates("sport slug", ((sport.slug, sport.name) for sport in sports)),
        *_duplicates(
            "sport name",
            ((name.casefold(), sport.name) for sport in sports for name in (sport.name, *sport.aliases)),
        ),
        *_misplaced_ids(sports),
        *_unreachable_slugs(sports, groups),
        *_unknown_references(sports, groups),
        *_cycles(sports),
    ]


def _duplicates(kind: str, keys: Iterable[tuple[str, str]]) -> list[str]:
    holders: dict[str, list[str]] = {}
    for key, holder in keys:
        holders.setdefault(key, []).append(holder)
    return [
        f"{kind} {key!r} is used more than once: {', '.join(names)}"
        for key, names in holders.items()
        if len(names) > 1
    ]


def _misplaced_ids(sports: Iterable[Sport]) -> list[str]:
    problems = []
    for sport in sports:
        ours = int(sport.id) >= FIRST_OWN_ID
        if sport.id_source == "sportvision" and not ours:
            problems.append(
                f"{sport.name}: the id {sport.id} is marked as ours, but ours start at {FIRST_OWN_ID}"
            )
        if sport.id_source == "sports-api" and ours:
            problems.append(
                f"{sport.name}: the id {sport.id} is marked as the Sports API's, "
                f"but ids from {FIRST_OWN_ID} up are ours"
            )
    return problems


def _unreachable_slugs(sports: Iterable[Sport], groups: Iterable[Group]) -> list[str]:
    """Slugs that the gateway's addresses, /sports/{id or slug} and /groups/{id or slug}, cannot mean."""
    places: list[tuple[str, Sport | Group]] = [
        *(("sports", sport) for sport in sports),
        *(("groups", group) for group in groups),
    ]
    problems = [
        f"{one.name}: the slug {one.slug!r} is a number, which is read as an id at /{place}/{one.slug}"
        for place, one in places
        if one.slug.isdecimal()
    ]
    problems += [
        f"{one.name}: the slug 'search' is taken: /sports/search is the search"
        for place, one in places
        if (place, one.slug) == ("sports", "search")
    ]
    return problems


def _unknown_references(sports: Sequence[Sport], groups: Iterable[Group]) -> list[str]:
    sport_slugs = {sport.slug for sport in sports}
    group_slugs = {group.slug for group in groups}
    problems = []
    for sport in sports:
        if sport.parent is not None and sport.parent not in sport_slugs:
            problems.append(f"{sport.name}: the parent {sport.parent!r} is not in the catalogue")
        if sport.group not in group_slugs:
            problems.append(f"{sport.name}: the group {sport.group!r} is not in the catalogue")
    return problems


def _cycles(sports: Iterable[Sport]) -> list[str]:
    parents = {sport.slug: sport.parent for sport in sports}
    problems = []
    sound: set[str] = set()
    for start in parents:
        path: list[str] = []
        slug: str | None = start
        while slug is not None and slug in parents and slug not in sound and slug not in path:
            path.append(slug)
            slug = parents[slug]
        if slug in path:
            cycle = path[path.index(slug) :]
            problems.append(f"sports are parents of each other: {' → '.join([*cycle, slug])}")
        sound.update(path)
    return problems
