"""The classes of a model: labels of the data, found in the catalogue."""

from collections.abc import Iterable
from dataclasses import dataclass

from catalogue import load_catalogue
from training.errors import DataError


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a model, in the order of its probabilities.

    Attributes:
        ids: The catalogue id of each.
        names: The catalogue's name of each.
        of_label: The position of the class of each label.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    of_label: dict[str, int]


def find_classes(labels: Iterable[str]) -> Classes:
    """Find the sports of labels in the catalogue, by name, whatever the case.

    Args:
        labels: The data's labels. Two that name the same sport become one class.

    Returns:
        The classes, by name.

    Raises:
        DataError: A label that the catalogue does not know, or fewer than two classes.
    """
    catalogue = load_catalogue()
    wanted = sorted(set(labels))
    sports = {label: catalogue.by_name(label) for label in wanted}
    unknown = [label for label, sport in sports.items() if sport is None]
    if unknown:
        raise DataError(
            f"The catalogue does not know {len(unknown)} of {len(wanted)} labels: {', '.join(map(repr, unknown))}. "
            "Rename them to names of the catalogue, or add them there (catalogue/sports.json)."
        )
    names = {sport.id: sport.name for sport in sports.values() if sport is not None}
    if len(names) < 2:
        raise DataError(f"There is one class only, {wanted[0]!r}: a classifier needs at least two.")
    ids = tuple(sorted(names, key=lambda one: names[one]))
    of_label = {label: ids.index(sport.id) for label, sport in sports.items() if sport is not None}
    return Classes(ids, tuple(names[one] for one in ids), of_label)
