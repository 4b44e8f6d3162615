import io

import numpy as np
import pytest
from PIL import Image

from preprocessing import decode_picture
from tests.training.pictures import coloured_noise, png
from training.report.distortions import (
    DISTORTIONS,
    ORIENTATIONS,
    UPRIGHT,
    blur,
    centre_crop,
    jpeg,
    scale_down,
    stored_as,
    upright,
)

PIXELS = coloured_noise((220, 60, 60), 7, height=48, width=80)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("size", [(48, 80), (224, 224), (31, 17)])
def test_exif_orientations_change_nothing(orientation: int, size: tuple[int, int]) -> None:
    height, width = size
    stored = stored_as(orientation)(PIXELS)
    with Image.open(io.BytesIO(stored)) as picture:
        lies = picture.size == (48, 80)
        assert lies == (orientation >= 5), "the stored picture itself is turned"
    seen = decode_picture(stored, height=height, width=width).astype(int)
    expected = decode_picture(stored_as(UPRIGHT)(PIXELS), height=height, width=width)
    # A resize rounds once after the rows and once after the columns: lying on its side, in the other order.
    allowed = 1 if orientation >= 5 and size != (48, 80) else 0
    assert np.abs(seen - expected).max() <= allowed
    np.testing.assert_array_equal(upright(stored), PIXELS)


def test_a_crop_keeps_the_middle() -> None:
    cropped = upright(centre_crop(0.5)(PIXELS))
    np.testing.assert_array_equal(cropped, PIXELS[12:36, 20:60])
    assert upright(centre_crop(0.01)(PIXELS)).shape == (1, 1, 3)


def test_scaling_down_leaves_small_pictures_alone() -> None:
    assert upright(scale_down(24)(PIXELS)).shape == (24, 40, 3)
    np.testing.assert_array_equal(upright(scale_down(112)(PIXELS)), PIXELS)


def test_blur_goes_with_the_size_of_the_picture() -> None:
    fine = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    large = np.kron(fine, np.ones((8, 8, 1), np.uint8))
    small = upright(blur(8)(fine)).astype(float)
    scaled = decode_picture(blur(8)(large), height=48, width=80).astype(float)
    # A standard deviation of 8 of 224 pixels is 1.7 of 48: the noise of single pixels goes.
    assert small.std() < 0.3 * fine.std()
    assert np.abs(small - scaled).mean() < 3


def test_jpeg_quality_is_felt() -> None:
    errors = [
        np.abs(upright(jpeg(quality)(PIXELS)).astype(float) - PIXELS).mean() for quality in (50, 30, 10)
    ]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_upright_keeps_the_pixels_and_the_keys_are_single() -> None:
    np.testing.assert_array_equal(upright(png(PIXELS)), PIXELS)
    assert len({one.key for one in DISTORTIONS}) == len(DISTORTIONS)
    for distortion in DISTORTIONS:
        assert decode_picture(distortion.apply(PIXELS), height=20, width=20).shape == (20, 20, 3)
