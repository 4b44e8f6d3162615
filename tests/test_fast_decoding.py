"""The quick way to a model's input against the plain one, Pillow's alone."""

import io
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.support.pictures import scene
from preprocessing import CorruptPictureError, decode_picture
from tests.support.pictures import encoded


def by_pillow(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as picture:
        picture.draft("RGB", (math.ceil(1.5 * max(height, width)),) * 2)
        small = picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(small)


@pytest.mark.parametrize(
    ("width", "height"),
    [(224, 224), (299, 299), (640, 480), (1283, 961), (901, 1350), (100, 75), (1500, 230), (7, 900)],
)
@pytest.mark.parametrize("side", [224, 299])
@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": "4:2:0"},
        {"subsampling": "4:4:4", "progressive": True},
        {"subsampling": "4:2:2", "quality": 40},
        {"keep_rgb": True},
    ],
    ids=str,
)
def test_jpegs_are_what_pillow_makes_of_them(
    width: int, height: int, side: int, options: dict[str, object]
) -> None:
    data = encoded(scene(width, height), "JPEG", **{"quality": 90, **options})
    found, wanted = decode_picture(data, height=side, width=side), by_pillow(data, side, side)
    assert np.abs(found.astype(int) - wanted).max() <= 1
    if (width, height) == (side, side):
        assert (found == wanted).all()


@pytest.mark.parametrize("name", ["PNG", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("width", [150, 640, 3000])
def test_other_pictures_are_what_pillow_makes_of_them(name: str, width: int) -> None:
    data = encoded(scene(width, 200), name)
    found, wanted = decode_picture(data, height=96, width=128), by_pillow(data, 96, 128)
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_faults_that_pillow_puts_up_with_are_put_up_with() -> None:
    whole = encoded(scene(400, 300), quality=90)
    # Bytes between the end of one segment and the next marker: libjpeg warns and goes on.
    at = whole.index(b"\xff\xdb")
    data = whole[:at] + b"\0\0" + whole[at:]
    assert (decode_picture(data, height=64, width=64) == decode_picture(whole, height=64, width=64)).all()


def test_a_truncated_jpeg_is_refused() -> None:
    whole = encoded(scene(400, 300), quality=90)
    with pytest.raises(CorruptPictureError, match="truncated or damaged"):
        decode_picture(whole[: len(whole) // 2], height=64, width=64)
