"""Sizes and formats of pictures, from their headers."""

import io
import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image
from tqdm import tqdm

from preprocessing import DECODER_ERRORS, read_orientation
from training.data import Picture
from training.upright import upright_size

_AT_ONCE = 256
_UPRIGHT = 1


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's header tells.

    Attributes:
        width: Columns, once it is upright.
        height: Rows, once it is upright.
        size: Bytes of the file.
        format: Pillow's name of the format.
        mode: Pillow's name of the pixels' mode, for instance `RGB`, `L`, `CMYK`.
        turned: Whether its EXIF orientation turns or mirrors it.
        frames: 1, or how many pictures an animation or a multi-page file has; 1 also where a later one is damaged.
    """

    width: int
    height: int
    size: int
    format: str
    mode: str
    turned: bool
    frames: int

    @property
    def short_side(self) -> int:
        """The smaller of width and height."""
        return min(self.width, self.height)

    @property
    def aspect(self) -> float:
        """The longer side over the shorter."""
        return max(self.width, self.height) / self.short_side


def read_headers(pictures: Sequence[Picture]) -> list[Header]:
    """Read headers, a few pictures in memory at a time.

    Args:
        pictures: Pictures that were decoded before, so that their headers are known to be good and not too large.

    Returns:
        Their headers, in the same order.
    """
    return list(tqdm(_headers(pictures), total=len(pictures), desc="headers", unit="picture", mininterval=5))


def _headers(pictures: Sequence[Picture]) -> Iterator[Header]:
    remaining = iter(pictures)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # A pool takes all its tasks at once; a stretch at a time keeps even the list of tasks short.
        while part := list(itertools.islice(remaining, _AT_ONCE)):
            yield from pool.map(_header, part)


def _header(picture: Picture) -> Header:
    data = picture.read()
    with Image.open(io.BytesIO(data)) as opened:
        width, height = upright_size(opened)
        return Header(
            width,
            height,
            len(data),
            opened.format or "unknown",
            opened.mode,
            read_orientation(opened) != _UPRIGHT,
            _frames(opened),
        )


def _frames(opened: Image.Image) -> int:
    if opened.format == "MPO":
        return 1  # phones put a second picture into a JPEG, which is no animation
    try:
        return getattr(opened, "n_frames", 1)
    except DECODER_ERRORS:
        return 1  # counting goes through all frames; decoding takes the first and never sees the damaged one
