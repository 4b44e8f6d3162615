"""Augmentation of one picture in training: random resized crop, mirror image, RandAugment and poor quality.

Everything random comes from the generator given, so the same generator gives the same picture.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

#: The strength at which an operation does the most it may.
FULL_STRENGTH = 10.0
_LOG_ASPECT = (float(np.log(3 / 4)), float(np.log(4 / 3)))
_MID_GREY = (127, 127, 127)


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """How pictures are changed in training.

    Attributes:
        smallest_area: A random crop has between this share of the picture's area and all of it; 1 for no crops.
        operations: How many of RandAugment's operations a picture goes through; 0 for none.
        strength: How strong each is, from 0 to `FULL_STRENGTH`.
        degraded: The share of pictures that lose quality as those of small cameras and of messengers do: blurred,
            made smaller and large again, or compressed.
    """

    smallest_area: float = 0.35
    operations: int = 1
    strength: float = 5.0
    degraded: float = 0.0


def augment(
    picture: NDArray[np.uint8],
    settings: AugmentSettings,
    random: np.random.Generator,
    *,
    height: int,
    width: int,
) -> NDArray[np.uint8]:
    """Change a picture at random, in ways that leave its class.

    Random resized crops follow Szegedy et al. 2015, "Going deeper with convolutions"; the operations follow Cubuk et
    al. 2020, "RandAugment: Practical automated data augmentation with a reduced search space", without inversion,
    which makes pictures that no camera gives.

    Args:
        picture: uint8 [any height, any width, 3], RGB.
        settings: How.
        random: The source of all chance.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        uint8 [height, width, 3].
    """
    image = _random_crop(Image.fromarray(picture), settings.smallest_area, random, (width, height))
    if random.random() < 0.5:
        image = ImageOps.mirror(image)
    names = sorted(OPERATIONS)
    for _ in range(settings.operations):
        operation = OPERATIONS[names[random.integers(len(names))]]
        image = operation(image, float(random.choice((-1.0, 1.0))) * settings.strength / FULL_STRENGTH)
    if random.random() < settings.degraded:
        image = _degraded(image, random)
    return np.asarray(image)


def _degraded(image: Image.Image, random: np.random.Generator) -> Image.Image:
    way = random.integers(3)
    if way == 0:
        return image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 0.012 * image.height)))
    if way == 1:
        share = random.uniform(0.3, 0.8)
        small = image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.BOX)
        return small.resize(image.size, Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(random.integers(8, 50)))
    with Image.open(file) as read:
        read.load()
        return read


def _random_crop(
    image: Image.Image, smallest_area: float, random: np.random.Generator, size: tuple[int, int]
) -> Image.Image:
    whole_width, whole_height = image.size
    area = random.uniform(smallest_area, 1.0)
    # A stretch beyond what the area leaves room for would run over the picture's edge.
    room = -np.log(area)
    stretch = float(np.exp(np.clip(random.uniform(*_LOG_ASPECT), -room, room) / 2))
    crop_width = min(1.0, np.sqrt(area) * stretch) * whole_width
    crop_height = min(1.0, np.sqrt(area) / stretch) * whole_height
    left = random.uniform(0, whole_width - crop_width)
    top = random.uniform(0, whole_height - crop_height)
    box = (left, top, left + crop_width, top + crop_height)
    return image.resize(size, Image.Resampling.BILINEAR, box=box)


def _moved(image: Image.Image, matrix: tuple[float, float, float, float, float, float]) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=_MID_GREY
    )


def _sheared(image: Image.Image, across: float, down: float) -> Image.Image:
    width, height = image.size
    # About the middle of the picture, so that what it shows stays in it.
    return _moved(image, (1, across, -across * height / 2, down, 1, -down * width / 2))


#: RandAugment's operations: a picture and a strength from -1 to 1 in, a picture of the same size out.
OPERATIONS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "autocontrast": lambda image, _: ImageOps.autocontrast(image),
    "brightness": lambda image, s: ImageEnhance.Brightness(image).enhance(1 + 0.9 * s),
    "colour": lambda image, s: ImageEnhance.Color(image).enhance(1 + 0.9 * s),
    "contrast": lambda image, s: ImageEnhance.Contrast(image).enhance(1 + 0.9 * s),
    "equalise": lambda image, _: ImageOps.equalize(image),
    "posterise": lambda image, s: ImageOps.posterize(image, 8 - round(4 * abs(s))),
    "rotate": lambda image, s: image.rotate(30 * s, Image.Resampling.BILINEAR, fillcolor=_MID_GREY),
    "sharpness": lambda image, s: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * s),
    "shear across": lambda image, s: _sheared(image, 0.3 * s, 0),
    "shear down": lambda image, s: _sheared(image, 0, 0.3 * s),
    "shift across": lambda image, s: _moved(image, (1, 0, 0.3 * s * image.width, 0, 1, 0)),
    "shift down": lambda image, s: _moved(image, (1, 0, 0, 0, 1, 0.3 * s * image.height)),
    "solarise": lambda image, s: ImageOps.solarize(image, 256 - round(128 * abs(s))),
}
