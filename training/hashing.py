"""Difference hashes of pictures, and all pairs of them within a few bits.

The hash is the 64-bit "dHash" of Krawetz 2013, "Kind of Like That" (hackerfactor.com): the picture is shrunk to 9 x 8
grey pixels, and each bit tells whether a pixel is brighter than its left neighbour. The pairs are found by banding
(Manku, Jain and Das Sarma 2007, "Detecting near-duplicates for web crawling"; Norouzi, Punjani and Fleet 2012, "Fast
search in Hamming space with multi-index hashing"): hashes that differ in at most d bits agree wholly in at least one
of d + 1 bands, so only pictures that share a band are compared, and none is missed.
"""

import itertools
import os
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from preprocessing import PictureError, decode_picture
from training.arrays import read_arrays
from training.data import Picture

_ROWS, _COLUMNS = 8, 9
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_CANDIDATES_AT_ONCE = 2_000_000
# A kill loses at most this many pictures' work.
_PART = 8192


def difference_hashes(picture: NDArray[np.uint8]) -> tuple[int, int]:
    """The difference hash of a picture, and that of its mirror image.

    Args:
        picture: uint8 [8, 9, 3], RGB, shrunk without keeping the aspect.

    Returns:
        Two numbers of 64 bits.
    """
    grey = picture @ _LUMA
    return _bits(grey), _bits(grey[:, ::-1])


def _bits(grey: NDArray[np.float64]) -> int:
    brighter = grey[:, 1:] > grey[:, :-1]
    return int.from_bytes(np.packbits(brighter).tobytes())


def hash_pictures(
    pictures: Sequence[Picture], cache: Path
) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
    """Hash pictures, or take their hashes from the cache.

    Args:
        pictures: The pictures.
        cache: The folder of all caches; hashes are kept there in one file, which is made anew where it is damaged.

    Returns:
        Hash and mirrored hash by digest; and what is wrong with each picture that cannot be decoded, by digest.
    """
    path = cache / "difference-hashes.npz"
    hashes = _load(path) if path.exists() else {}
    todo = list({p.digest: p for p in pictures if p.digest not in hashes}.values())
    unreadable: dict[str, str] = {}
    if todo:
        with (
            ThreadPoolExecutor(os.cpu_count()) as pool,
            tqdm(total=len(todo), desc="hashes", unit="picture", mininterval=5) as bar,
        ):
            for start in range(0, len(todo), _PART):
                part = todo[start : start + _PART]
                for picture, result in zip(part, pool.map(_hash_or_reason, part), strict=True):
                    if isinstance(result, str):
                        unreadable[picture.digest] = result
                    else:
                        hashes[picture.digest] = result
                    bar.update()
                _save(path, hashes)
    return hashes, unreadable


def _hash_or_reason(picture: Picture) -> tuple[int, int] | str:
    try:
        return difference_hashes(decode_picture(picture.read(), height=_ROWS, width=_COLUMNS))
    except (PictureError, OSError) as error:
        return str(error)


def _load(path: Path) -> dict[str, tuple[int, int]]:
    """Read what `_save` wrote; a damaged file tells nothing, as hashes can be had from the pictures again."""
    try:
        arrays = read_arrays(path)
    except ValueError:
        return {}
    digests, hashes = arrays.get("digests"), arrays.get("hashes")
    if digests is None or hashes is None or hashes.shape != (*digests.shape, 2):
        return {}
    return {
        digest: (plain, mirrored)
        for digest, (plain, mirrored) in zip(digests.tolist(), hashes.tolist(), strict=True)
    }


def _save(path: Path, hashes: dict[str, tuple[int, int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{uuid.uuid4().hex}.draft")
    try:
        with draft.open("wb") as file:
            np.savez(
                file,
                digests=np.array(list(hashes), dtype=np.str_),
                hashes=np.array(list(hashes.values()), dtype=np.uint64).reshape(-1, 2),
            )
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def near_pairs(left: NDArray[np.uint64], right: NDArray[np.uint64], distance: int) -> NDArray[np.int64]:
    """All pairs of a hash on the left and one on the right that differ in at most so many bits.

    Args:
        left: uint64 [n].
        right: uint64 [m].
        distance: The most bits that may differ, 0 to 63.

    Returns:
        int64 [pairs, 2]: positions on the left and on the right, sorted, each pair once.
    """
    found = [np.empty((0, 2), np.int64)]
    edges = np.linspace(0, 64, distance + 2).astype(int)
    for low, high in itertools.pairwise(edges):
        mask = np.uint64((1 << int(high - low)) - 1)
        left_keys = (left >> np.uint64(low)) & mask
        right_keys = (right >> np.uint64(low)) & mask
        order = np.argsort(right_keys, kind="stable")
        first = np.searchsorted(right_keys[order], left_keys, side="left")
        counts = np.searchsorted(right_keys[order], left_keys, side="right") - first
        total = np.cumsum(counts)
        start = 0
        while start < len(left):
            before = int(total[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(total, before + _CANDIDATES_AT_ONCE, side="right")))
            chunk = counts[start:stop]
            rows = np.repeat(np.arange(start, stop), chunk)
            within = np.arange(len(rows)) - np.repeat(np.cumsum(chunk) - chunk, chunk)
            columns = order[np.repeat(first[start:stop], chunk) + within]
            near = np.bitwise_count(left[rows] ^ right[columns]) <= distance
            found.append(np.stack([rows[near], columns[near]], axis=1))
            start = stop
    return np.unique(np.concatenate(found), axis=0)
