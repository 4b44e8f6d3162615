"""Groups of pictures that look alike, so that a split can keep them together."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from training.hashing import near_pairs

#: Bits that may differ between two difference hashes of near-duplicates.
HASH_DISTANCE = 6
#: Cosine of two feature vectors from which pictures count as copies or as parts of one series.
COSINE = 0.8
_ROWS_AT_ONCE = 2048


def group_alike(
    hashes: NDArray[np.uint64],
    features: NDArray[np.float16],
    *,
    hash_distance: int = HASH_DISTANCE,
    cosine: float = COSINE,
) -> NDArray[np.int64]:
    """Put pictures that look alike, directly or through others, into one group.

    Two pictures look alike when their difference hashes are near, also with one of them mirrored, or when the cosine
    of their features is high: that finds what the hash cannot, recoloured or rotated copies and series of one room.

    Args:
        hashes: uint64 [n, 2]: hash and hash of the mirror image.
        features: float16 [n, features] of a frozen backbone.
        hash_distance: See `HASH_DISTANCE`.
        cosine: See `COSINE`; above 1 the features are not used.

    Returns:
        int64 [n]: the group of each picture; groups are numbered from 0 in the order of their first picture.
    """
    plain, mirrored = hashes[:, 0], hashes[:, 1]
    pairs = [near_pairs(plain, plain, hash_distance), near_pairs(plain, mirrored, hash_distance)]
    if cosine <= 1:
        pairs.append(similar_pairs(features, cosine))
    return connected(len(hashes), np.concatenate(pairs).tolist())


def similar_pairs(features: NDArray[np.float16], cosine: float) -> NDArray[np.int64]:
    """All pairs of rows whose cosine is at least so high, compared all with all, a block at a time.

    Args:
        features: float16 [n, features].
        cosine: The least cosine.

    Returns:
        int64 [pairs, 2], the first below the second.
    """
    unit = features.astype(np.float32)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(unit), _ROWS_AT_ONCE):
        block = unit[start : start + _ROWS_AT_ONCE]
        rows, columns = np.nonzero(block @ unit[start:].T >= cosine)
        later = columns > rows
        found.append(np.stack([rows[later], columns[later]], axis=1) + start)
    return np.concatenate(found)


def connected(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Number the connected parts of a graph, by union-find with path halving (Tarjan and van Leeuwen 1984).

    Args:
        count: How many nodes.
        pairs: The edges.

    Returns:
        int64 [count]: the part of each node, numbered from 0 in the order of first nodes.
    """
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for left, right in pairs:
        low, high = sorted((root(left), root(right)))
        parent[high] = low
    _, groups = np.unique([root(node) for node in range(count)], return_inverse=True)
    return groups.astype(np.int64)
