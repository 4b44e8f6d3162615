"""Photos made by code: smooth surfaces, edges and a sensor's grain, so that they compress about as photos do."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

#: The sizes of the benchmark: what a careful client sends, a screenshot, a phone's photo.
SIZES = ((299, 299), (1280, 960), (4032, 3024))
QUALITY = 90


def scene(width: int, height: int, seed: int = 0) -> Image.Image:
    """An RGB picture of that size.

    Its spectrum falls with frequency as that of photos does (about 1/f: D. J. Field, "Relations between the
    statistics of natural images and the response properties of cortical cells", 1987): octaves of noise, each
    weaker than the one that is twice as coarse by 1.6. On top come some shapes with hard edges, and grain of ±5.
    """
    dice = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 128.0, np.float32)
    cells, strength = 4, 60.0
    while cells < max(width, height) // 2 and strength > 1.0:
        rows = max(2, cells * height // max(width, height))
        coarse = dice.uniform(-strength, strength, (rows, max(2, cells), 3)).astype(np.float32)
        for channel in range(3):
            # One common part for brightness: colours change less than it does.
            mixed = 0.75 * coarse[..., 0] + 0.25 * coarse[..., channel]
            layer = Image.fromarray(mixed).resize((width, height), Image.Resampling.BICUBIC)
            picture[..., channel] += np.asarray(layer)
        cells, strength = cells * 2, strength / 1.6
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for number in range(24):
        x, y = dice.uniform(0, width), dice.uniform(0, height)
        reach = dice.uniform(0.02, 0.15) * max(width, height)
        colour = tuple(int(value) for value in dice.integers(0, 256, 3))
        box = (x - reach, y - reach / 2, x + reach, y + reach / 2)
        if number % 2:
            draw.ellipse(box, fill=colour)
        else:
            draw.line((x - reach, y - reach, x + reach, y + reach), fill=colour, width=max(1, width // 200))
    grain = dice.integers(-5, 6, (height, width, 1), np.int16)
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


@lru_cache(maxsize=32)
def photo(width: int, height: int, quality: int = QUALITY) -> bytes:
    """The same scene as a JPEG, with its colours at half resolution as cameras have it."""
    buffer = io.BytesIO()
    scene(width, height).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue()


def photo_of_bytes(size: int) -> bytes:
    """A photo of about so many bytes: the pixels grow until it is that large.

    Returns:
        A JPEG of the asked size, to a tenth.
    """
    pixels = size * 3.0
    for _ in range(8):
        width = max(16, round((pixels * 4 / 3) ** 0.5))
        made = photo(width, max(12, round(width * 3 / 4)))
        if abs(len(made) / size - 1) < 0.1:
            break
        pixels *= size / len(made)
    return made
