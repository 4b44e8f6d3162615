"""The split into training, validation and test part: stratified by class, never through a group of like pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: The parts of a split, in their usual order.
PARTS = ("train", "validation", "test")
#: A class needs this many groups for a place in all three parts; below, it is in training alone.
_GROUPS_FOR_ALL_PARTS = 3


@dataclass(frozen=True, slots=True)
class Split:
    """Positions of pictures.

    Attributes:
        train: int64, ascending.
        validation: int64, ascending.
        test: int64, ascending.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split_groups(
    labels: Sequence[str],
    groups: NDArray[np.int64],
    *,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
) -> Split:
    """Split pictures by groups, class by class, the rarest class first.

    Of every class with at least three groups about the asked share, and at least one picture, is wanted in test and
    in validation. A group larger than what a part still wants stays in training, so long series are never a test of
    themselves, and a class of long series alone is in training alone; the same goes for what is left. A group with
    pictures of several classes goes where its rarest class puts it.

    Args:
        labels: The class of each picture.
        groups: int64 [n]: the group of each picture.
        validation: The share of the validation part.
        test: The share of the test part.
        seed: The same seed gives the same split; another shuffles anew.

    Returns:
        The parts.
    """
    random = np.random.default_rng(seed)
    members: dict[int, list[int]] = {}
    for position, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(position)
    by_class: dict[str, list[int]] = {}
    for position, label in enumerate(labels):
        by_class.setdefault(label, []).append(position)

    part_of: dict[int, str] = {}
    for label in sorted(by_class, key=lambda name: (len(by_class[name]), name)):
        positions = by_class[label]
        own = sorted({int(groups[position]) for position in positions})
        random.shuffle(own)
        wanted = {"test": test, "validation": validation}
        placed = [part_of.get(int(groups[position])) for position in positions]
        missing = {
            part: max(1, round(share * len(positions))) - placed.count(part) if share else 0
            for part, share in wanted.items()
        }
        if len(own) < _GROUPS_FOR_ALL_PARTS:
            missing = {}
        free = [group for group in own if group not in part_of]
        for group in free:
            size = sum(labels[position] == label for position in members[group])
            part_of[group] = next((part for part, room in missing.items() if size <= room), "train")
            if part_of[group] != "train":
                missing[part_of[group]] -= size

    for positions in by_class.values():
        own = [int(groups[position]) for position in positions]
        if all(part_of[group] != "train" for group in own):
            part_of[own[0]] = "train"  # a class that is never trained could only be answered wrongly

    def positions_in(part: str) -> NDArray[np.int64]:
        inside = [
            position for group, where in part_of.items() if where == part for position in members[group]
        ]
        return np.array(sorted(inside), np.int64)

    return Split(positions_in("train"), positions_in("validation"), positions_in("test"))
