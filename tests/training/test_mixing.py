import numpy as np
import pytest
from numpy.typing import NDArray

from training.mixing import MixSettings, mix_batch

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


def batch() -> Batch:
    """Four pictures of one value each, so that a mixed pixel tells which pictures it came from."""
    values = np.array([0, 1, 10, 100], np.float32)
    pixels = np.broadcast_to(values[:, None, None, None], (4, 20, 30, 3)).copy()
    return pixels, np.eye(4, dtype=np.float32)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    "settings",
    [MixSettings(mixup=0.8, cutmix=0, probability=1), MixSettings(mixup=0, cutmix=1, probability=1)],
)
def test_targets_are_mixed_as_the_pixels_are(settings: MixSettings, seed: int) -> None:
    pixels, targets = batch()
    mixed, mixed_targets = mix_batch(pixels, targets, settings, np.random.default_rng(seed))
    np.testing.assert_allclose(mixed_targets.sum(axis=1), 1, rtol=1e-6)
    # The mean over the pixels is linear in the pictures, so the shares of the pixels must be those of the targets.
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), mixed_targets @ [0, 1, 10, 100], atol=1e-3)
    np.testing.assert_array_equal(pixels, batch()[0])


def test_cutmix_keeps_each_pixel_of_one_picture_or_the_other() -> None:
    settings = MixSettings(mixup=0, cutmix=1, probability=1)
    mixed, _ = mix_batch(*batch(), settings, np.random.default_rng(0))
    assert set(np.unique(mixed)) <= {0, 1, 10, 100}


@pytest.mark.parametrize("settings", [MixSettings(probability=0), MixSettings(mixup=0, cutmix=0)])
def test_a_batch_may_stay_as_it_is(settings: MixSettings) -> None:
    for before, after in zip(batch(), mix_batch(*batch(), settings, np.random.default_rng(0)), strict=True):
        np.testing.assert_array_equal(before, after)


def test_about_the_asked_share_of_batches_is_mixed_by_either_way() -> None:
    random = np.random.default_rng(0)
    ways = {"left": 0, "mixup": 0, "cutmix": 0}
    for _ in range(400):
        mixed, targets = mix_batch(*batch(), MixSettings(mixup=1, probability=0.5), random)
        if targets.max(axis=1).min() == 1:
            ways["left"] += 1
        else:
            ways["cutmix" if set(np.unique(mixed)) <= {0, 1, 10, 100} else "mixup"] += 1
    # A batch whose permutation moved nothing counts as left: 1 of 24.
    assert 170 < ways["left"] < 250
    assert min(ways["mixup"], ways["cutmix"]) > 60
