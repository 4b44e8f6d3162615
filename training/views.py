"""Views: the picture itself, its mirror image, and random crops, for augmentation of cached features.

A view of a picture is the same at every run: its randomness comes from the view's name and the picture's content
alone.

Random resized crops follow Szegedy et al. 2015, "Going deeper with convolutions" (part of the area, bounded aspect);
the colour changes follow Howard 2013, "Some improvements on deep convolutional neural network based image
classification" (brightness, contrast and saturation by random factors).
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

ORIGINAL = "original"
FLIP = "flip"
_CROP = "crop-"
_AREA = (0.35, 1.0)
_LOG_ASPECT = (float(np.log(3 / 4)), float(np.log(4 / 3)))
_COLOUR = (0.7, 1.3)


def training_views(crops: int) -> tuple[str, ...]:
    """The names of the views of a training picture: itself, its mirror image and as many random crops as asked.

    With no crops, itself alone: then nothing but the plain features is computed.
    """
    if crops == 0:
        return (ORIGINAL,)
    return (ORIGINAL, FLIP, *(f"{_CROP}{number}" for number in range(1, crops + 1)))


def make_view(picture: NDArray[np.uint8], view: str, digest: str) -> NDArray[np.uint8]:
    """Make a view of a decoded picture.

    Args:
        picture: uint8 [height, width, 3], RGB.
        view: `original`, `flip`, or `crop-` and a number.
        digest: The picture's digest; with the view's name it seeds the randomness.

    Returns:
        uint8, the same shape.

    Raises:
        ValueError: No such view.
    """
    if view == ORIGINAL:
        return picture
    if view == FLIP:
        return picture[:, ::-1]
    if not view.startswith(_CROP):
        raise ValueError(f"There is no view {view!r}.")
    seed = int.from_bytes(hashlib.sha256(f"{view}\0{digest}".encode()).digest()[:8])
    return _random_crop(picture, np.random.default_rng(seed))


def _random_crop(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    height, width, _ = picture.shape
    area = random.uniform(*_AREA)
    stretch = float(np.exp(random.uniform(*_LOG_ASPECT) / 2))
    crop_height = min(1.0, float(np.sqrt(area)) / stretch) * height
    crop_width = min(1.0, float(np.sqrt(area)) * stretch) * width
    top = random.uniform(0, height - crop_height)
    left = random.uniform(0, width - crop_width)
    crop = Image.fromarray(picture).resize(
        (width, height), Image.Resampling.BICUBIC, box=(left, top, left + crop_width, top + crop_height)
    )
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        crop = enhancer(crop).enhance(random.uniform(*_COLOUR))
    pixels = np.asarray(crop)
    return pixels[:, ::-1] if random.random() < 0.5 else pixels
