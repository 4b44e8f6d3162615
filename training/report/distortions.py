"""Ways in which the same picture may reach the service: cut, blurred, compressed, small, or stored on its side."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFilter

from preprocessing import decode_picture
from training.upright import upright_size

#: The value of the EXIF tag Orientation under which a picture is stored as it is seen.
UPRIGHT = 1
#: The other values (CIPA DC-008, 4.6.5).
ORIENTATIONS = (2, 3, 4, 5, 6, 7, 8)

# What a camera that is held so would store: the inverse of what a viewer does with the tag.
_STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
# Radii of blur are given for pictures of this short side.
_USUAL_SIDE = 224


@dataclass(frozen=True, slots=True)
class Distortion:
    """A change to a picture.

    Attributes:
        key: Its name in the JSON.
        name: Its name for people.
        apply: From an upright picture, uint8 [rows, columns, 3], to the bytes of a file.
    """

    key: str
    name: str
    apply: Callable[[NDArray[np.uint8]], bytes]


def upright(data: bytes) -> NDArray[np.uint8]:
    """Decode a picture at its own size, as the gateway decodes it: uint8 [rows, columns, 3].

    Raises:
        preprocessing.PictureError: It cannot be decoded.
    """
    with Image.open(io.BytesIO(data)) as picture:
        width, height = upright_size(picture)
    return decode_picture(data, height=height, width=width)


def centre_crop(share: float) -> Callable[[NDArray[np.uint8]], bytes]:
    """Keep the middle, `share` of each side."""

    def apply(pixels: NDArray[np.uint8]) -> bytes:
        kept = [max(1, round(side * share)) for side in pixels.shape[:2]]
        top, left = ((side - keep) // 2 for side, keep in zip(pixels.shape[:2], kept, strict=True))
        return _png(Image.fromarray(pixels[top : top + kept[0], left : left + kept[1]]))

    return apply


def blur(radius: float) -> Callable[[NDArray[np.uint8]], bytes]:
    """A Gaussian blur; the radius, its standard deviation, is in pixels of a picture with a short side of 224."""

    def apply(pixels: NDArray[np.uint8]) -> bytes:
        scaled = radius * min(pixels.shape[:2]) / _USUAL_SIDE
        return _png(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(scaled)))

    return apply


def jpeg(quality: int) -> Callable[[NDArray[np.uint8]], bytes]:
    """Save as JPEG of a quality from 1 to 95, as libjpeg counts it."""

    def apply(pixels: NDArray[np.uint8]) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        return file.getvalue()

    return apply


def scale_down(side: int) -> Callable[[NDArray[np.uint8]], bytes]:
    """Make the short side so many pixels; smaller pictures stay as they are."""

    def apply(pixels: NDArray[np.uint8]) -> bytes:
        rows, columns = pixels.shape[:2]
        factor = min(1.0, side / min(rows, columns))
        size = max(1, round(columns * factor)), max(1, round(rows * factor))
        return _png(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))

    return apply


def stored_as(orientation: int) -> Callable[[NDArray[np.uint8]], bytes]:
    """Store the picture as a camera held so would, with the EXIF orientation that tells how to show it upright."""

    def apply(pixels: NDArray[np.uint8]) -> bytes:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        picture = Image.fromarray(pixels)
        return _png(picture if orientation == UPRIGHT else picture.transpose(_STORED_AS[orientation]), exif)

    return apply


#: What the report asks, beside EXIF orientations. Only `jpeg` loses anything by the file format itself.
DISTORTIONS = (
    Distortion("crop_90", "Centre crop, 90% of each side", centre_crop(0.9)),
    Distortion("crop_75", "Centre crop, 75% of each side", centre_crop(0.75)),
    Distortion("crop_50", "Centre crop, 50% of each side", centre_crop(0.5)),
    Distortion("blur_1", "Gaussian blur, 1 pixel of 224", blur(1)),
    Distortion("blur_2", "Gaussian blur, 2 pixels of 224", blur(2)),
    Distortion("blur_4", "Gaussian blur, 4 pixels of 224", blur(4)),
    Distortion("jpeg_50", "JPEG, quality 50", jpeg(50)),
    Distortion("jpeg_30", "JPEG, quality 30", jpeg(30)),
    Distortion("jpeg_10", "JPEG, quality 10", jpeg(10)),
    Distortion("small_112", "Short side scaled down to 112", scale_down(112)),
)


def _png(picture: Image.Image, exif: Image.Exif | None = None) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1, exif=exif or Image.Exif())
    return file.getvalue()
