"""Pictures made by code."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """Red and green above, blue and white below."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    picture.paste(WHITE, (width // 2, height // 2, width, height))
    return picture.convert(mode)


def encoded(picture: Image.Image, name: str = "JPEG", **options: object) -> bytes:
    """The picture as a file of the named format."""
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def grey_jpeg(level: int, side: int = 32) -> bytes:
    """A JPEG of one grey, 0 to 255."""
    return encoded(Image.new("L", (side, side), level), "JPEG")


def corners(image: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """Upper left, upper right, lower left, lower right, away from the edges."""
    height, width = image.shape[:2]
    places = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [tuple(int(value) for value in image[place]) for place in places]


def assert_near(found: Sequence[object], wanted: Sequence[object], tolerance: int = 12) -> None:
    """Fail where any value is further away than `tolerance`."""
    assert np.abs(np.array(found) - np.array(wanted)).max() <= tolerance, found
