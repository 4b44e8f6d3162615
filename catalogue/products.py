"""The product types, the sports groups of each, and the sports that a group stands for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from catalogue.model import Sport


@dataclass(frozen=True, slots=True)
class ProductGroup:
    """What one kind of product of a type is for.

    Attributes:
        name: The name that answers use, such as "Hiking,Walking,Camping,Sledding"; unique within the type.
        sports: The sports of the catalogue that it stands for, the most typical first; at least one.
        labels: The groups of the training pictures' manifest that are this group; empty where no picture is known
            to be of it.
    """

    name: str
    sports: tuple[Sport, ...]
    labels: tuple[str, ...] = ()

    @property
    def sport_ids(self) -> tuple[str, ...]:
        """The catalogue ids of the sports, in their order."""
        return tuple(sport.id for sport in self.sports)


@dataclass(frozen=True, slots=True)
class ProductType:
    """One type of product.

    Attributes:
        id: Lower-case words joined by hyphens, unique.
        name: The name that answers use, which is also the label in the training pictures' manifest; unique.
        groups: The sports groups that exist for it; at least one.
        unknown_labels: Groups of the manifest that say nothing here: a picture with one counts as one without.
    """

    id: str
    name: str
    groups: tuple[ProductGroup, ...]
    unknown_labels: tuple[str, ...] = ()


class Products:
    """The product types, found by id or name in constant time.

    Made by ``load_products`` or ``parse_products``, which have validated the data; it can't be changed.

    Attributes:
        types: Every type, in the order of the file.
    """

    __slots__ = ("_by_id", "_by_name", "types")

    def __init__(self, types: Iterable[ProductType]) -> None:
        self.types: tuple[ProductType, ...] = tuple(types)
        self._by_id: Mapping[str, ProductType] = MappingProxyType({one.id: one for one in self.types})
        self._by_name: Mapping[str, ProductType] = MappingProxyType({one.name: one for one in self.types})

    def by_id(self, type_id: str) -> ProductType | None:
        """Return the type with this id, or None."""
        return self._by_id.get(type_id)

    def by_name(self, name: str) -> ProductType | None:
        """Return the type with exactly this name, or None."""
        return self._by_name.get(name)

    def groups_of(self, type_name: str) -> tuple[ProductGroup, ...]:
        """Return the groups of the type with this name (the manifest's label), in the order of the file.

        Raises:
            KeyError: There is no such type.
        """
        return self._by_name[type_name].groups

    def group_of_label(self, type_name: str, label: str) -> ProductGroup | None:
        """Return the group that a picture of a type is of.

        Args:
            type_name: The picture's label in the manifest.
            label: Its group in the manifest; empty where it is not known.

        Returns:
            One of the type's groups; None where the group is not known, or the label is declared to say nothing.

        Raises:
            KeyError: There is no such type, or the taxonomy does not say what the label means for it.
        """
        one = self._by_name[type_name]
        if not label or label in one.unknown_labels:
            return None
        for group in one.groups:
            if label in group.labels:
                return group
        raise KeyError(f"{label!r} is no group of {type_name!r}, nor among its unknown labels")

    def __len__(self) -> int:
        return len(self.types)
