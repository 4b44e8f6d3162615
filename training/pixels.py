"""Decoded pictures on disk: each one decoded once, at training resolution, and read from then on as plain pixels.

The store is one file of uint8 beside a file with a byte for each picture, which tells whether its pixels are there.
It is mapped into memory and never read as a whole, so it may be larger than memory; a filling that was killed goes
on.
"""

import hashlib
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from preprocessing import PictureError, decode_picture
from training.data import Picture
from training.errors import DataError

# Pixels reach the disk before their marks do; a kill loses at most this many pictures' work.
_PART = 512
_DECODERS = 2


def decoded_pixels(
    pictures: Sequence[Picture], cache: Path, height: int, width: int, *, progress: bool = True
) -> NDArray[np.uint8]:
    """Decode pictures as the gateway does, or find them decoded.

    Args:
        pictures: With their digests; these, in this order, and the size name the file.
        cache: The folder of all caches.
        height: Rows.
        width: Columns.
        progress: Whether to show a progress bar.

    Returns:
        uint8 [pictures, height, width, 3], RGB, read only, mapped from the file.

    Raises:
        DataError: A picture cannot be decoded, or the disk has no room for the pixels.
    """
    key = hashlib.sha256("\n".join(picture.digest for picture in pictures).encode()).hexdigest()
    place = cache / "pixels" / f"{key[:24]}-{height}x{width}"
    shape = (len(pictures), height, width, 3)
    store, marks = place.with_suffix(".u8"), place.with_suffix(".done")
    if not _is_whole(store, shape):
        # Marks that outlived their pixels would let black pictures pass for decoded ones. They go before the new file
        # comes, so that a kill in between leaves none.
        marks.unlink(missing_ok=True)
    pixels = _mapped(store, shape)
    done = _mapped(marks, (len(pictures),))
    todo = np.flatnonzero(done == 0)

    def decode(position: int) -> None:
        picture = pictures[position]
        try:
            pixels[position] = decode_picture(picture.read(), height=height, width=width)
        except (PictureError, OSError) as error:
            raise DataError(
                f"{picture.name} cannot be decoded: {error}. The run that comes before would have left it out: "
                "has the file changed since?"
            ) from error

    with (
        ThreadPoolExecutor(_DECODERS) as pool,
        tqdm(total=len(todo), desc="pixels", unit="picture", mininterval=5, disable=not progress) as bar,
    ):
        for start in range(0, len(todo), _PART):
            part = todo[start : start + _PART]
            list(pool.map(decode, part.tolist()))
            pixels.flush()
            done[part] = 1
            done.flush()
            bar.update(len(part))
    return np.memmap(store, np.uint8, mode="r", shape=shape)


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    return path.is_file() and path.stat().st_size == math.prod(shape)


def _mapped(path: Path, shape: tuple[int, ...]) -> "np.memmap[tuple[int, ...], np.dtype[np.uint8]]":
    """Map a file of zeros, made with its whole size on the first call, so that a full disk is told at once."""
    if not _is_whole(path, shape):
        size = math.prod(shape)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        try:
            with draft.open("wb") as file:
                for start in range(0, size, 1 << 24):
                    file.write(bytes(min(1 << 24, size - start)))
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise DataError(
                f"No room for {size / 1e6:.0f} MB of pixels at {path}: {error.strerror}."
            ) from error
        draft.replace(path)
    return np.memmap(path, np.uint8, mode="r+", shape=shape)
