"""The versions of the models behind `fake_backend`: pictures in, outputs by the model contract out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proto_client import ModelState


@dataclass(slots=True)
class FakeVersion:
    """One version: its input's size in pixels, its classes as (id, name), and how it stands."""

    model: str
    version: int
    height: int
    width: int
    classes: tuple[tuple[str, str], ...]
    state: ModelState = ModelState.AVAILABLE

    def answer(self, picture: NDArray[Any]) -> list[tuple[str, str, float]]:
        """What this version answers for a [height, width, 3] picture: (id, name, probability), likeliest first.

        The mean of all values picks the winner among the classes (black the first, white the last); the others
        follow in their order, each half as likely as the one before.
        """
        count = len(self.classes)
        winner = int(picture.mean() * count / 256)
        weights = 0.5 ** np.arange(count)
        shares = (weights / weights.sum()).astype(np.float32)
        ranked = [self.classes[(winner + rank) % count] for rank in range(min(20, count))]
        return [(ident, name, float(share)) for (ident, name), share in zip(ranked, shares, strict=False)]

    def outputs(self, images: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The outputs of the model contract, here three of [batch, k], for images [batch, height, width, 3]."""
        answers = [self.answer(picture) for picture in images]
        shape = (len(images), min(20, len(self.classes)))
        columns = {"probabilities": (2, np.float32), "class_ids": (0, object), "class_names": (1, object)}
        return {
            alias: np.array([row[place] for answer in answers for row in answer], dtype).reshape(shape)
            for alias, (place, dtype) in columns.items()
        }


@dataclass(slots=True)
class FakeProductVersion(FakeVersion):
    """One version of a product model: the classes are types, and each has groups as (name, ids of sports)."""

    groups: tuple[tuple[tuple[str, str], ...], ...] = ()

    def outputs(self, images: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The three outputs as above, and three of [batch, k, g]; a type's groups keep their order."""
        found = FakeVersion.outputs(self, images)
        groups = dict(zip((name for _, name in self.classes), self.groups, strict=True))
        shape = (*found["class_names"].shape, max(map(len, self.groups)))
        probabilities = np.zeros(shape, np.float32)
        names, sports = (np.full(shape, "", object) for _ in range(2))
        for place in np.ndindex(shape[:2]):
            of_type = groups[str(found["class_names"][place])]
            weights = 0.5 ** np.arange(len(of_type))
            probabilities[place][: len(of_type)] = weights / weights.sum()
            for rank, (name, ids) in enumerate(of_type):
                names[place][rank], sports[place][rank] = name, ids
        return found | {
            "group_probabilities": probabilities,
            "group_names": names,
            "group_sports": sports,
        }
