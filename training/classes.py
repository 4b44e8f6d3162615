"""The classes of a model: labels of the data, found in the catalogue of sports or in the taxonomy of products."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from catalogue import ProductType, Sport, load_catalogue, load_products
from training.errors import DataError


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a model, in the order of its probabilities.

    Attributes:
        ids: The catalogue's, or the taxonomy's, id of each.
        names: Its name there.
        of_label: The position of the class of each label.
        task: What the labels are, see `find_classes`.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    of_label: dict[str, int]
    task: str = "sport"


def find_classes(labels: Iterable[str], task: str = "sport") -> Classes:
    """Find the classes that labels mean: sports of the catalogue, or product types of the taxonomy, by name.

    Args:
        labels: The data's labels. Two that name the same class, as by another case, become one.
        task: What is labelled: `product`, or `sport`.

    Returns:
        The classes, by name.

    Raises:
        DataError: A label that the catalogue does not know, or fewer than two classes.
    """
    wanted = sorted(set(labels))
    find, what, file = vocabulary(task)
    found = {label: find(label) for label in wanted}
    unknown = [label for label, one in found.items() if one is None]
    if unknown:
        raise DataError(
            f"The {what} does not know {len(unknown)} of {len(wanted)} labels: {', '.join(map(repr, unknown))}. "
            f"Rename them to names that it has, or add them there ({file})."
        )
    names = {one.id: one.name for one in found.values() if one is not None}
    if len(names) < 2:
        raise DataError(f"There is one class only, {wanted[0]!r}: a classifier needs at least two.")
    ids = tuple(sorted(names, key=lambda one: names[one]))
    of_label = {label: ids.index(one.id) for label, one in found.items() if one is not None}
    return Classes(ids, tuple(names[one] for one in ids), of_label, task)


def vocabulary(task: str) -> tuple[Callable[[str], Sport | ProductType | None], str, str]:
    """What the labels of a task may be.

    Args:
        task: `product`, or `sport`.

    Returns:
        What finds a class by a label, or None; what that is called; and the file that it is read from.
    """
    catalogue = load_catalogue()
    if task == "product":
        return load_products(catalogue).by_name, "taxonomy of products", "catalogue/products.json"
    return catalogue.by_name, "catalogue", "catalogue/sports.json"
