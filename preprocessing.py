"""Picture bytes to a model's input array: the one way to do it, in the gateway and in training.

Every picture becomes RGB, upright by its EXIF orientation, on white where it is transparent, and is resized
to the asked height and width without keeping the aspect. Scaling of pixel values is the model's own business,
inside its graph.
"""

import io
import math
import re
import struct
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

import numpy as np
import simplejpeg
from cykooz_resizer import FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

DEFAULT_MAX_PIXELS: Final = 50_000_000
#: No side may be longer, whatever the other: decoders keep something for each row. JPEG itself ends there.
MAX_SIDE: Final = 65_535

_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
#: The formats that are read, by Pillow's name, with their media types. AVIF is not among them: the size that its
#: container tells need not be that of the picture inside, which the decoder allocates all the same, so that a file of
#: a kilobyte takes hundreds of megabytes.
ACCEPTED_FORMATS: Final = MappingProxyType(_MEDIA_TYPES)
# Phones write JPEGs that carry a second picture; Pillow calls these MPO.
_JPEGS = ("JPEG", "MPO")
_PILLOW_FORMATS = (*ACCEPTED_FORMATS, "MPO")

#: What Pillow's decoders let through when a file is damaged, beside their own OSError.
DECODER_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)

# Applied after the resize, on the small picture. Values of the EXIF tag Orientation (CIPA DC-008, 4.6.5).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: The EXIF orientations that change places of width and height.
SIDEWAYS: Final = frozenset({5, 6, 7, 8})

# libjpeg-turbo has fast code for these alone; Pillow knows no others.
_DCT_SCALES = (8, 4, 2, 1)
# JPEGs are decoded at no less than so many times the size that is asked. What libjpeg leaves out is then cut by the
# resize as well, and models answer as after exact decoding; at 1 they did not for 4% of pictures (docs/speed.md).
_DECODING_GAP: Final = 1.5
# Each scan of a JPEG is a pass over all its pixels, and need be no longer than some 30 bytes. Progressive ones have
# about ten.
_MOST_SCANS: Final = 50
_SCAN: Final = b"\xff\xda"
# A marker with a meaning after entropy-coded data: no stuffed byte, no restart and no fill (ITU-T T.81, B.1.1).
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_START, _END, _TEMPORARY = 0xD8, 0xD9, 0x01
# Of the TIFF tags TileWidth and TileLength (TIFF 6.0, section 15).
_TILE_WIDTH, _TILE_LENGTH = 322, 323
# A picture this many times larger than asked is first averaged down over whole pixels, to no less than this.
_REDUCING_GAP = 3.0
_BILINEAR: Final = ResizeOptions(resize_alg=ResizeAlg.convolution(FilterType.bilinear), use_alpha=False)


class PictureError(ValueError):
    """A picture that cannot be used; the message says what is wrong and what to change."""


class NotAPictureError(PictureError):
    """The bytes are no picture, or one in a format that is not read."""


class TooManyPixelsError(PictureError):
    """The picture would decode to more pixels than allowed; it was not decoded."""


class CorruptPictureError(PictureError):
    """The picture is truncated or damaged."""


def load_decoders() -> None:
    """Import Pillow's plugins now, so that the first picture need not wait for it (some 100 ms)."""
    Image.init()


def decode_picture(
    data: bytes, *, height: int, width: int, max_pixels: int = DEFAULT_MAX_PIXELS
) -> NDArray[np.uint8]:
    """Decode a picture and resize it.

    JPEGs are decoded at a reduced scale (libjpeg's DCT scaling), several times faster for phone photos.
    Of animations and multi-page files the first frame counts.

    Common pictures take a way of their own: JPEGs in colour go through simplejpeg, which gives Pillow's very
    pixels in half the time for small ones, and opaque pictures through a resizer that does the same convolution as
    Pillow's five times faster, and differs by 1 of 255 where it rounds otherwise (docs/speed.md). What either
    cannot do, Pillow does.

    Args:
        data: A whole picture file in one of `ACCEPTED_FORMATS`.
        height: Rows of the result.
        width: Columns of the result.
        max_pixels: Width times height above which a picture is refused from its header alone.

    Returns:
        A uint8 array of shape [height, width, 3], RGB.

    Raises:
        NotAPictureError: No picture, or a format that is not read.
        TooManyPixelsError: More than `max_pixels`, or a side beyond `MAX_SIDE`.
        CorruptPictureError: Truncated or damaged, or made to keep a decoder busy.
    """
    _refuse_large_webp(data, max_pixels)
    with _open(data, max_pixels) as picture:
        _refuse_large(picture, max_pixels)
        if picture.format in _JPEGS and scans(data) > _MOST_SCANS:
            raise CorruptPictureError(
                f"The JPEG picture has more than {_MOST_SCANS} scans, as no camera and no program writes them. "
                "Save it anew."
            )
        side = math.ceil(_DECODING_GAP * max(height, width))
        try:
            image = _decode_jpeg(data, picture, side)
            if image is None:
                picture.draft("RGB", (side, side))
                picture.load()
            # After loading: Pillow turns TIFFs upright by itself, and then says so.
            orientation = read_orientation(picture)
            size = (height, width) if orientation in SIDEWAYS else (width, height)
            small = _shrink(picture, size) if image is None else _resize(image, size)
        except DECODER_ERRORS as error:
            raise CorruptPictureError(
                f"The {picture.format} picture is truncated or damaged ({error}). "
                "Send the whole file, or save it anew."
            ) from error
    if orientation in _UPRIGHT:
        small = np.asarray(Image.fromarray(small).transpose(_UPRIGHT[orientation]))
    return small


def _decode_jpeg(data: bytes, picture: Image.Image, side: int) -> NDArray[np.uint8] | None:
    """Decode a JPEG in colour straight into an array, at the scale that Pillow would take.

    Returns:
        uint8 [height, width, 3], each at least `side` where the picture itself is; None where Pillow must do it: it
        is no such picture, or damaged. Pillow puts up with some faults, such as bytes between two segments.
    """
    if picture.format not in _JPEGS or picture.mode != "RGB":
        return None
    most = max(1, min(picture.width // side, picture.height // side))
    scale = next(scale for scale in _DCT_SCALES if scale <= most)
    shape = (-(-picture.height // scale), -(-picture.width // scale), 3)
    try:
        image: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, "RGB", min_height=shape[0], min_width=shape[1], min_factor=1
        )
    except ValueError:
        return None
    return image if image.shape == shape else None


def _shrink(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a loaded picture of any mode to this width and height, on white where it is transparent."""
    whole = _to_rgb_or_rgba(picture)
    if whole.mode == "RGB" and not _reduces(whole.size, size):
        return _resize(np.asarray(whole), size)
    small = whole.resize(size, Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP)
    if small.mode == "RGBA":
        white = Image.new("RGBA", small.size, "white")
        small = Image.alpha_composite(white, small).convert("RGB")
    return np.asarray(small)


def _reduces(whole: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether Pillow would average whole pixels before it resizes: along either side, two or more into one."""
    return any(have >= 2 * _REDUCING_GAP * want for have, want in zip(whole, size, strict=True))


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize uint8 [height, width, 3] to this width and height, as Pillow does with BILINEAR and a reducing gap."""
    height, width, _ = image.shape
    if (width, height) == size:
        return image
    if _reduces((width, height), size):
        picture = Image.fromarray(image)
        return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP))
    target = ImageData(*size, PixelType.U8x3)
    Resizer().resize(ImageData(width, height, PixelType.U8x3, image.tobytes()), target, _BILINEAR)
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(size[1], size[0], 3)


def _open(data: bytes, max_pixels: int) -> Image.Image:
    """Read the header only."""
    try:
        return Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's own, process-wide limit struck before ours could; it lies above any that makes sense here.
        raise TooManyPixelsError(
            f"The picture has far more pixels than the {max_pixels:,} allowed. Scale it down before sending."
        ) from error
    except DECODER_ERRORS as error:
        found = sniff_format(data)
        if found in ACCEPTED_FORMATS:
            raise CorruptPictureError(
                f"The {found} picture is truncated or damaged in its header. "
                "Send the whole file, or save it anew."
            ) from error
        if data.startswith((b"http://", b"https://")):
            what = "the address of a picture, not the picture itself"
        else:
            article = "an" if found in {"AVIF", "MP4 video", "SVG"} else "a"
            what = f"{article} {found} file, which is not read here" if found else "not a picture"
        raise NotAPictureError(f"The file is {what}. Send one of: {', '.join(ACCEPTED_FORMATS)}.") from error


def _refuse_large(picture: Image.Image, max_pixels: int) -> None:
    """Check what decoding would allocate, going by the header."""
    sizes = [picture.size]
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        # Tiles are decoded whole, also where they are larger than the picture.
        width, height = (picture.tag_v2.get(tag) for tag in (_TILE_WIDTH, _TILE_LENGTH))
        if isinstance(width, int) and isinstance(height, int):
            sizes.append((width, height))
    for width, height in sizes:
        if width * height > max_pixels:
            raise _too_many_pixels(width, height, max_pixels)
        if max(width, height) > MAX_SIDE:
            raise TooManyPixelsError(
                f"The picture is {width} × {height}; no side may be longer than {MAX_SIDE:,} pixels. Scale it down "
                "before sending."
            )


def scans(data: bytes) -> int:
    """Count the scans of a JPEG, as far as that matters.

    Args:
        data: The file.

    Returns:
        How many scans there are at most. Above 50 it is how many there are: those of thumbnails and of what follows
        the picture's end, as the films that phones put there, are not counted.
    """
    seen = data.count(_SCAN)
    if seen <= _MOST_SCANS:
        return seen
    seen, place = 0, 2
    while found := _MARKER.search(data, place):
        place, marker = found.end(), data[found.end() - 1]
        if marker == _END:
            break
        if marker not in (_START, _TEMPORARY):
            seen += marker == _SCAN[1]
            place += int.from_bytes(data[place : place + 2], "big")
    return seen


def _too_many_pixels(width: int, height: int, max_pixels: int) -> TooManyPixelsError:
    return TooManyPixelsError(
        f"The picture has {width} × {height} = {width * height:,} pixels; {max_pixels:,} are allowed. "
        "Scale it down before sending."
    )


def read_orientation(picture: Image.Image) -> int:
    """Read the EXIF orientation of an opened picture, as decoding turns it.

    Args:
        picture: Opened, loaded or not. Pillow turns TIFFs upright as it loads them.

    Returns:
        2 to 8, or 1 (upright) where there is none or it cannot be read.
    """
    try:
        value = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except DECODER_ERRORS:
        return 1  # A broken EXIF block is no reason to refuse a good picture.
    return value if value in _UPRIGHT else 1


def _to_rgb_or_rgba(picture: Image.Image) -> Image.Image:
    """Bring any of Pillow's modes to RGB, or to RGBA where the picture has transparency."""
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode == "F" or picture.mode.startswith("I"):
        return Image.fromarray(_grey_to_bytes(np.asarray(picture), picture.mode)).convert("RGB")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _grey_to_bytes(grey: NDArray[np.generic], mode: str) -> NDArray[np.uint8]:
    """Grey of more than 8 bits to 8: 16-bit by its high byte, others stretched over their own range.

    Pillow's own conversion clips instead, which turns almost every such picture white.
    """
    if mode.startswith("I;16"):
        return (grey.astype(np.uint16, copy=False) >> 8).astype(np.uint8)
    values = np.nan_to_num(grey.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    return ((values - low) * (255.0 / (high - low))).astype(np.uint8)


def _refuse_large_webp(data: bytes, max_pixels: int) -> None:
    """Check a WebP's canvas before Pillow sees it: it allocates two whole canvases as soon as it opens one.

    Layouts of the three kinds of first chunk: RFC 9649, sections 2.5 to 2.7, and RFC 6386, section 9.1.
    """
    if len(data) < 30 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return
    match data[12:16]:
        case b"VP8X":
            width = 1 + int.from_bytes(data[24:27], "little")
            height = 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width = int.from_bytes(data[26:28], "little") & 0x3FFF
            height = int.from_bytes(data[28:30], "little") & 0x3FFF
        case _:
            return
    if width * height > max_pixels:
        raise _too_many_pixels(width, height, max_pixels)


_BMP_HEADER_SIZES = tuple(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))


def _starts(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(magics)


def _brand(*brands: bytes) -> Callable[[bytes], bool]:
    return lambda data: data[4:8] == b"ftyp" and data[8:12] in brands


_SIGNATURES: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("JPEG", _starts(b"\xff\xd8\xff")),
    ("PNG", _starts(b"\x89PNG\r\n\x1a\n")),
    ("GIF", _starts(b"GIF87a", b"GIF89a")),
    ("WEBP", lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP"),
    ("TIFF", _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ("AVIF", _brand(b"avif", b"avis")),
    ("HEIC", _brand(b"heic", b"heix", b"hevc", b"mif1", b"msf1")),
    ("BMP", lambda data: data[:2] == b"BM" and data[14:18] in _BMP_HEADER_SIZES),
    ("PDF", _starts(b"%PDF-")),
    ("PSD", _starts(b"8BPS")),
    ("JPEG XL", _starts(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")),
    ("JPEG 2000", _starts(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")),
    ("SVG", lambda data: b"<svg" in data[:1024].lower()),
    ("MP4 video", lambda data: data[4:8] == b"ftyp"),
)


def sniff_format(data: bytes) -> str | None:
    """Name a file's format by its first bytes, read here or not; None where they tell nothing."""
    return next((name for name, matches in _SIGNATURES if matches(data)), None)
