import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.training.pictures import coloured_noise
from training.augment import OPERATIONS, AugmentSettings, augment

PICTURE = coloured_noise((200, 120, 40), 1, height=48, width=64)
PLAIN = AugmentSettings(smallest_area=1.0, operations=0)


def changed(settings: AugmentSettings, seed: int, *, height: int = 32, width: int = 24) -> NDArray[np.uint8]:
    return augment(PICTURE, settings, np.random.default_rng(seed), height=height, width=width)


@pytest.mark.parametrize("seed", range(20))
def test_every_picture_has_the_size_asked_for(seed: int) -> None:
    pixels = changed(AugmentSettings(smallest_area=0.05, operations=2, strength=10), seed)
    assert pixels.shape == (32, 24, 3)
    assert pixels.dtype == np.uint8


def test_the_same_chance_gives_the_same_picture_and_other_chance_another() -> None:
    np.testing.assert_array_equal(changed(AugmentSettings(), 3), changed(AugmentSettings(), 3))
    assert (changed(AugmentSettings(), 3) != changed(AugmentSettings(), 4)).any()


def test_without_crops_and_operations_a_picture_is_itself_or_its_mirror_image() -> None:
    seen = set()
    for seed in range(12):
        pixels = changed(PLAIN, seed, height=48, width=64)
        mirrored = not np.array_equal(pixels, PICTURE)
        np.testing.assert_array_equal(pixels, PICTURE[:, ::-1] if mirrored else PICTURE)
        seen.add(mirrored)
    assert seen == {False, True}


def test_a_crop_shows_a_part_no_smaller_than_asked() -> None:
    # Brightness that rises evenly tells where a crop begins and ends.
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (200, 200, 3))
    shares = []
    for seed in range(200):
        settings = AugmentSettings(smallest_area=0.25, operations=0)
        across = augment(ramp, settings, np.random.default_rng(seed), height=200, width=200)
        down = augment(ramp.swapaxes(0, 1), settings, np.random.default_rng(seed), height=200, width=200)
        shares.append((int(np.ptp(across)) + 1) * (int(np.ptp(down)) + 1) / 200**2)
    assert 0.23 < min(shares) < 0.35
    assert 0.9 < max(shares) <= 1.0


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operations_keep_the_size_and_do_nothing_or_little_at_no_strength(name: str) -> None:
    image = Image.fromarray(PICTURE)
    for strength in (-1.0, -0.4, 0.0, 0.4, 1.0):
        assert OPERATIONS[name](image, strength).size == image.size
    if name not in {"autocontrast", "equalise"}:  # these have no strength
        np.testing.assert_array_equal(np.asarray(OPERATIONS[name](image, 0.0)), PICTURE)
        assert (np.asarray(OPERATIONS[name](image, 1.0)) != PICTURE).any()
