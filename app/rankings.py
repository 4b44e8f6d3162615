"""What models answer, and how it is read off their outputs: a form for each kind of model (docs/architecture.md)."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from numpy.typing import NDArray

from proto_client import InvalidReply


class Ranked(Protocol):
    """Anything that a model ranks."""

    @property
    def id(self) -> str:
        """What the model's classes are told apart by."""

    @property
    def probability(self) -> float:
        """How likely the picture shows it, from 0 to 1."""


RankedT = TypeVar("RankedT", bound=Ranked)


@dataclass(frozen=True, slots=True)
class AnswerForm(Generic[RankedT]):
    """What a kind of model answers with.

    Attributes:
        outputs: The outputs that are asked for, each with its element type in TensorFlow's words; the model's
            signature must have them all, and so.
        read: Makes the ranking of one picture, likeliest first, of that picture's rows of the outputs: the output
            of shape [batch, k] comes as [k].
    """

    outputs: Mapping[str, str]
    read: Callable[[Mapping[str, NDArray[Any]]], tuple[RankedT, ...]]

    def ranking(self, outputs: Mapping[str, NDArray[Any]], picture: int) -> tuple[RankedT, ...]:
        """Read the ranking of one picture off what a model server sent.

        Args:
            outputs: The outputs with their batch dimension.
            picture: The picture's place in the batch.

        Returns:
            The ranking, likeliest first.

        Raises:
            InvalidReply: The outputs are not of the form: one is not there or has no row for the picture, they do not
                fit each other, a text is not UTF-8, or a probability is no number. A signature promises none of that.
        """
        try:
            return self.read({name: rows[picture] for name, rows in outputs.items()})
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise InvalidReply(f"The outputs cannot be read: {error}.") from error


@dataclass(frozen=True, slots=True)
class RankedClass:
    """One class of the model with its probability, as the version that answered named it."""

    id: str
    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class RankedGroup:
    """One sports group with its probability given the product type that it is a group of."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class RankedType:
    """One product type with its probability, and all its sports groups, likeliest first."""

    id: str
    name: str
    probability: float
    groups: tuple[RankedGroup, ...]


def _read_classes(rows: Mapping[str, NDArray[Any]]) -> tuple[RankedClass, ...]:
    return tuple(
        RankedClass(class_id.decode(), name.decode(), _finite(probability))
        for class_id, name, probability in zip(
            rows["class_ids"], rows["class_names"], rows["probabilities"], strict=True
        )
    )


def _finite(probability: Any) -> float:
    # A broken network answers nan for everything, which would be above no threshold, and no caller could tell why.
    number = float(probability)
    if not math.isfinite(number):
        raise ValueError(f"a probability is {number}")
    return number


def _read_types(rows: Mapping[str, NDArray[Any]]) -> tuple[RankedType, ...]:
    return tuple(
        RankedType(found.id, found.name, found.probability, _read_groups(names, probabilities))
        for found, names, probabilities in zip(
            _read_classes(rows), rows["group_names"], rows["group_probabilities"], strict=True
        )
    )


def _read_groups(names: NDArray[Any], probabilities: NDArray[Any]) -> tuple[RankedGroup, ...]:
    # A type with fewer groups than the others has empty names behind them.
    return tuple(
        RankedGroup(name.decode(), _finite(probability))
        for name, probability in zip(names, probabilities, strict=True)
        if name
    )


_CLASSES: Final = {"probabilities": "float32", "class_ids": "string", "class_names": "string"}

#: A flat list of classes, such as sports.
CLASSES: Final = AnswerForm(_CLASSES, _read_classes)
#: Product types, each with its sports groups.
TYPES_WITH_GROUPS: Final = AnswerForm(
    _CLASSES | {"group_probabilities": "float32", "group_names": "string"}, _read_types
)


def likeliest(ranking: Sequence[RankedT], top_k: int, threshold: float) -> Sequence[RankedT]:
    """Cut a ranking: no more than `top_k`, and none less probable than `threshold`."""
    return [ranked for ranked in ranking[:top_k] if ranked.probability >= threshold]
