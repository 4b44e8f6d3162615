"""How alike the two pictures of a pair are, pixel by pixel: the second opinion on what a hash found.

The measure is the normalised cross-correlation of the two, shrunk to 16 x 16 (Lewis 1995, "Fast normalized
cross-correlation"), each colour channel less its mean. Of the pairs of sport pictures within 6 bits, those from 0.70
to 0.93 were looked at: from 0.88 up all 18 were copies or neighbours in one series, from 0.80 up 29 of 37, from 0.70
up 10 of 36; the others share a pose before a plain background. Packshots on white all look alike to it.
"""

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from preprocessing import PictureError, decode_picture
from training.data import Picture

#: From here on a pair counts as likely.
LIKELY = 0.8
_SIDE = 16
_AT_ONCE = 256
_PAIRS_AT_ONCE = 8192


def likeness(
    pictures: Sequence[Picture], pairs: NDArray[np.int64], mirrored: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Compare the pictures of pairs.

    Args:
        pictures: The pictures.
        pairs: int64 [pairs, 2]: positions of two pictures.
        mirrored: bool [pairs]: whether the second is to be mirrored first.

    Returns:
        float64 [pairs]: -1 to 1; 0 where a picture has one colour only.
    """
    places, rows = np.unique(pairs, return_inverse=True)
    small = _shrunk([pictures[place] for place in places.tolist()])
    rows = rows.reshape(-1, 2)
    found = np.zeros(len(pairs))
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        chosen = slice(start, start + _PAIRS_AT_ONCE)
        left, right = (_centred(small[rows[chosen, side]]) for side in (0, 1))
        flip = mirrored[chosen]
        right[flip] = right[flip][:, :, ::-1]
        norm = np.sqrt((left**2).sum((1, 2, 3)) * (right**2).sum((1, 2, 3)))
        found[chosen] = (left * right).sum((1, 2, 3)) / np.maximum(norm, 1e-9)
    return found


def _shrunk(pictures: Sequence[Picture]) -> NDArray[np.uint8]:
    """uint8 [pictures, 16, 16, 3]; black where one cannot be decoded any more."""
    small = np.zeros((len(pictures), _SIDE, _SIDE, 3), np.uint8)

    def shrink(position: int) -> None:
        try:
            small[position] = decode_picture(pictures[position].read(), height=_SIDE, width=_SIDE)
        except (PictureError, OSError):
            return  # it was good when it was hashed

    remaining = iter(range(len(pictures)))
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(pictures), desc="pairs", unit="picture", mininterval=5) as bar,
    ):
        while part := list(itertools.islice(remaining, _AT_ONCE)):
            list(pool.map(shrink, part))
            bar.update(len(part))
    return small


def _centred(small: NDArray[np.uint8]) -> NDArray[np.float64]:
    values = small.astype(np.float64)
    centred: NDArray[np.float64] = values - values.mean((1, 2), keepdims=True)
    return centred
