"""Pictures mixed in pairs, with their targets: MixUp and CutMix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MixSettings:
    """How the pictures of a batch are mixed.

    Attributes:
        mixup: Alpha of the Beta distribution of MixUp's shares; 0 for no MixUp.
        cutmix: Alpha of the Beta distribution of CutMix's areas; 0 for no CutMix.
        probability: The share of batches that are mixed, by the one or the other with equal chances.
    """

    mixup: float = 0.2
    cutmix: float = 1.0
    probability: float = 0.5


@dataclass(frozen=True, slots=True)
class Mix:
    """How the pictures of one batch are mixed, decided before any of them is made.

    MixUp (Zhang et al. 2018, "mixup: Beyond empirical risk minimization") adds pictures in shares; CutMix (Yun et al.
    2019, "CutMix: Regularization strategy to train strong classifiers with localizable features") puts a rectangle of
    one into another. Targets, with the weights that are in them, are added in the same shares.

    Attributes:
        share: What each picture keeps of itself.
        partner: int64 [batch]: the place of the picture that each one is mixed with.
        rectangle: Where CutMix puts the partner: top, bottom, left and right; None for MixUp.
    """

    share: np.float32
    partner: NDArray[np.int64]
    rectangle: tuple[int, int, int, int] | None

    def pixels(self, own: NDArray[np.float32], partners: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix pictures with their partners, both float32 [n, height, width, 3]; those given are not changed."""
        if self.rectangle is None:
            return np.asarray(self.share * own + (1 - self.share) * partners, np.float32)
        top, bottom, left, right = self.rectangle
        mixed = own.copy()
        mixed[:, top:bottom, left:right] = partners[:, top:bottom, left:right]
        return mixed

    def targets(self, own: NDArray[np.float32], partners: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix targets with those of their partners, both float32 [n, classes]."""
        return np.asarray(self.share * own + (1 - self.share) * partners, np.float32)


def draw_mix(
    pictures: int, height: int, width: int, settings: MixSettings, random: np.random.Generator
) -> Mix | None:
    """Decide how a batch is mixed.

    Args:
        pictures: How many there are.
        height: Their rows.
        width: Their columns.
        settings: How.
        random: The source of all chance.

    Returns:
        How each picture is mixed with another one; None where the batch is left as it is.
    """
    ways = [name for name in ("mixup", "cutmix") if getattr(settings, name) > 0]
    if not ways or random.random() >= settings.probability:
        return None
    way = ways[random.integers(len(ways))]
    alpha = getattr(settings, way)
    share = np.float32(random.beta(alpha, alpha))
    partner = random.permutation(pictures)
    if way == "mixup":
        return Mix(share, partner, None)
    top, bottom, left, right = _rectangle(height, width, 1 - float(share), random)
    share = np.float32(1 - (bottom - top) * (right - left) / (height * width))
    return Mix(share, partner, (top, bottom, left, right))


def mix_batch(
    pixels: NDArray[np.float32],
    targets: NDArray[np.float32],
    settings: MixSettings,
    random: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mix each picture of a batch with another one, or leave the batch as it is; see `Mix`.

    Args:
        pixels: float32 [batch, height, width, 3].
        targets: float32 [batch, classes].
        settings: How.
        random: The source of all chance.

    Returns:
        Pixels and targets, of the same shapes; the arrays given are not changed.
    """
    pictures, height, width, _ = pixels.shape
    mix = draw_mix(pictures, height, width, settings, random)
    if mix is None:
        return pixels, targets
    return mix.pixels(pixels, pixels[mix.partner]), mix.targets(targets, targets[mix.partner])


def _rectangle(
    height: int, width: int, area: float, random: np.random.Generator
) -> tuple[int, int, int, int]:
    """A rectangle of the picture's aspect about a random middle, cut off at the edges: top, bottom, left, right."""
    half_height, half_width = np.sqrt(area) * height / 2, np.sqrt(area) * width / 2
    middle_y, middle_x = random.uniform(0, height), random.uniform(0, width)
    top, bottom = np.clip(np.rint([middle_y - half_height, middle_y + half_height]), 0, height).astype(int)
    left, right = np.clip(np.rint([middle_x - half_width, middle_x + half_width]), 0, width).astype(int)
    return int(top), int(bottom), int(left), int(right)
