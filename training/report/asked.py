"""The pictures that a version was asked, with what is right, what it answered, and which pictures belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.classes import find_classes
from training.data import Picture
from training.errors import DataError
from training.metrics import ranks_of
from training.served import Answers


@dataclass(frozen=True)
class Asked:
    """Labelled pictures and a version's answers to them.

    Attributes:
        pictures: The pictures.
        truths: The catalogue id of each picture's label.
        groups: int64 [pictures]: pictures of one group look alike.
        answers: The answers, in the order of the pictures.
        names: The name of each class of truths and answers, by id.
    """

    pictures: tuple[Picture, ...]
    truths: tuple[str, ...]
    groups: NDArray[np.int64]
    answers: Answers
    names: dict[str, str]

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """At which place of the answers the right class is, from 0, else `metrics.NOT_ANSWERED`; int64 [pictures]."""
        return ranks_of(self.answers.class_ids, self.truths)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the first answer is right, bool [pictures]."""
        return np.asarray(self.ranks == 0)

    @cached_property
    def confidences(self) -> NDArray[np.float32]:
        """The probability of the first answer, float32 [pictures]."""
        return self.answers.probabilities[:, 0]

    @cached_property
    def first(self) -> tuple[str, ...]:
        """The class id of each first answer."""
        return tuple(row[0] for row in self.answers.class_ids)

    @cached_property
    def sources(self) -> NDArray[np.str_]:
        """The source of each picture, text [pictures]."""
        return np.array([picture.source for picture in self.pictures])


def join(
    pictures: Sequence[Picture], groups: NDArray[np.int64], answers: Answers, task: str = "sport"
) -> Asked:
    """Join pictures with the answers to them.

    Args:
        pictures: The pictures asked.
        groups: int64 [pictures].
        answers: The answers, in the same order.
        task: What the labels are, see `classes.find_classes`.

    Returns:
        All of it.

    Raises:
        DataError: A label is not in the catalogue, or there are no pictures.
    """
    if not pictures:
        raise DataError("There are no pictures to ask.")
    classes = find_classes((picture.label for picture in pictures), task)
    truths = tuple(classes.ids[classes.of_label[picture.label]] for picture in pictures)
    names = answers.names | dict(zip(classes.ids, classes.names, strict=True))
    return Asked(tuple(pictures), truths, groups, answers, names)
