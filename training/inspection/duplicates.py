"""Pictures that are there more than once: the same bytes, or nearly the same to the eye."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data import Picture
from training.hashing import near_pairs
from training.inspection.likeness import LIKELY, likeness


@dataclass(frozen=True, slots=True)
class Copies:
    """Pictures of the same bytes.

    Attributes:
        positions: Where they are in the data, ascending. A file of several tasks is there for each.
        files: Their distinct names, in the order of positions; two or more.
        labels: Their distinct labels, sorted.
        conflict: Whether they have different labels in one task.
        parts: The distinct parts of the split that they are in, sorted; more than one is a leak.
    """

    positions: tuple[int, ...]
    files: tuple[str, ...]
    labels: tuple[str, ...]
    conflict: bool
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Pairs of pictures of different bytes whose difference hashes are near.

    The gravest are first: in different parts, then likely, then with different labels, then by likeness.

    Attributes:
        positions: int64 [pairs, 2]: where they are in the data; of copies the first stands for all, and of the tasks
            of a file one in which the labels of the two differ, or else one that both are of.
        bits: int64 [pairs]: how many bits differ.
        mirrored: bool [pairs]: whether one is nearer to the mirror image of the other than to the other.
        likeness: float64 [pairs]: see `likeness.likeness`.
        other_label: bool [pairs]: whether their labels differ in one task.
        across: bool [pairs]: whether they, or copies of them, are in different parts of the split.
        plain: How many pictures are too plain to compare, and in no pair.
    """

    positions: NDArray[np.int64]
    bits: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    likeness: NDArray[np.float64]
    other_label: NDArray[np.bool_]
    across: NDArray[np.bool_]
    plain: int

    @property
    def likely(self) -> NDArray[np.bool_]:
        """Whether the pixels, too, say that they are near-duplicates; bool [pairs]."""
        return self.likeness >= LIKELY


def find_copies(pictures: Sequence[Picture], part_of: Mapping[str, str]) -> list[Copies]:
    """Find pictures of the same bytes in several files; a file that is there for several tasks is no copy of itself.

    Args:
        pictures: With digests.
        part_of: The part of the split by the picture's name; pictures that are in none are absent.

    Returns:
        Those that are there more than once: conflicts first, then those in several parts, then in the order of names.
    """
    by_digest: dict[str, list[int]] = {}
    for position, picture in enumerate(pictures):
        by_digest.setdefault(picture.digest, []).append(position)
    found = []
    for positions in by_digest.values():
        same = [pictures[position] for position in positions]
        files = tuple(dict.fromkeys(picture.name for picture in same))
        if len(files) > 1:
            parts = {part_of[picture.name] for picture in same if picture.name in part_of}
            labels = {(picture.task, picture.label) for picture in same}
            conflict = len(labels) > len({task for task, _ in labels})
            told = tuple(sorted({label for _, label in labels}))
            found.append(Copies(tuple(positions), files, told, conflict, tuple(sorted(parts))))
    return sorted(found, key=lambda one: (not one.conflict, len(one.parts) < 2, one.positions))


def find_near_pairs(
    pictures: Sequence[Picture],
    hashes: Mapping[str, tuple[int, int]],
    part_of: Mapping[str, str],
    *,
    distance: int,
) -> NearPairs:
    """Find pairs of pictures that look nearly the same, also mirrored.

    A picture whose hash has at most `distance` bits set, or unset, is too plain: it is near to every flat surface.

    Args:
        pictures: With digests.
        hashes: Hash and hash of the mirror image by digest, from `hashing.hash_pictures`.
        part_of: As in `find_copies`.
        distance: The most bits of 64 that may differ.

    Returns:
        Each pair once; of copies only one is compared.
    """
    parts = {name: 1 << number for number, name in enumerate(sorted(set(part_of.values())))}
    first: dict[str, dict[str, int]] = {}
    inside: dict[str, int] = {}
    for position, picture in enumerate(pictures):
        first.setdefault(picture.digest, {}).setdefault(picture.task, position)
        bit = parts[part_of[picture.name]] if picture.name in part_of else 0
        inside[picture.digest] = inside.get(picture.digest, 0) | bit
    values = np.array([hashes[digest] for digest in first], np.uint64).reshape(-1, 2)
    bits_set = np.bitwise_count(values[:, 0]).astype(np.int64)
    telling = (bits_set > distance) & (bits_set < 64 - distance)
    digests = [digest for digest, tells in zip(first, telling.tolist(), strict=True) if tells]
    pairs, bits, mirrored = _nearest(values[telling], distance)

    by_task = [first[digest] for digest in digests]
    compared = [_of_one_task(pictures, by_task[left], by_task[right]) for left, right in pairs.tolist()]
    places = np.array([places for places, _ in compared], np.int64).reshape(-1, 2)
    other_label = np.array([differ for _, differ in compared], bool)
    part = np.array([inside[digest] for digest in digests], np.int64)
    across = np.bitwise_count(part[pairs[:, 0]] | part[pairs[:, 1]]) > 1
    alike = likeness(pictures, places, mirrored)
    order = np.lexsort((-alike, ~other_label, alike < LIKELY, ~across))
    return NearPairs(
        places[order],
        bits[order],
        mirrored[order],
        alike[order],
        other_label[order],
        across[order],
        int((~telling).sum()),
    )


def _of_one_task(
    pictures: Sequence[Picture], left: Mapping[str, int], right: Mapping[str, int]
) -> tuple[tuple[int, int], bool]:
    """Of the positions of two pictures by task those to compare, and whether the labels there are different ones."""
    shared = [(left[task], right[task]) for task in left if task in right]
    for one, other in shared:
        if pictures[one].label != pictures[other].label:
            return (one, other), True
    return (shared or [(next(iter(left.values())), next(iter(right.values())))])[0], False


def _nearest(
    values: NDArray[np.uint64], distance: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """All pairs within the distance, each once at its smaller number of bits: pairs, bits, whether mirrored."""
    found = []
    for mirrored in (False, True):
        pairs = near_pairs(values[:, 0], values[:, int(mirrored)], distance)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        bits = np.bitwise_count(values[pairs[:, 0], 0] ^ values[pairs[:, 1], int(mirrored)])
        # Each pair comes both ways round, and mirrored not always with the same bits: level neighbours count as not
        # brighter, seen from either side.
        pairs = np.sort(pairs, axis=1)
        found.append(np.column_stack([pairs, bits, np.full(len(pairs), mirrored)]).astype(np.int64))
    rows = np.concatenate(found)
    rows = rows[np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0]))]
    kept = np.ones(len(rows), bool)
    kept[1:] = (rows[1:, :2] != rows[:-1, :2]).any(axis=1)
    rows = rows[kept]
    return rows[:, :2], rows[:, 2], rows[:, 3].astype(bool)
