import io
import random
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from preprocessing import (
    ACCEPTED_FORMATS,
    MAX_SIDE,
    CorruptPictureError,
    NotAPictureError,
    PictureError,
    TooManyPixelsError,
    decode_picture,
    scans,
    sniff_format,
)
from tests.support.pictures import BLUE, GREEN, RED, WHITE, assert_near, corners, encoded, quadrants

# Damaged files make Pillow warn of their metadata; what counts here is what decode_picture makes of them.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.mark.parametrize("name", ACCEPTED_FORMATS)
def test_every_accepted_format_is_decoded_to_the_asked_size(name: str) -> None:
    options = {"quality": 95} if name in {"JPEG", "WEBP"} else {}
    image = decode_picture(encoded(quadrants(), name, **options), height=20, width=30)
    assert image.shape == (20, 30, 3)
    assert image.dtype == np.uint8
    assert_near(corners(image), [RED, GREEN, BLUE, WHITE])


def test_the_formats_of_the_contract_are_accepted() -> None:
    assert {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"} <= set(ACCEPTED_FORMATS)


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("L", "PNG"), ("L", "JPEG"), ("1", "PNG"), ("1", "TIFF"), ("P", "PNG"), ("P", "GIF"), ("P", "BMP"),
        ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("YCbCr", "JPEG"), ("YCbCr", "TIFF"), ("RGBA", "PNG"), ("RGBA", "WEBP"),
        ("RGBA", "TIFF"), ("LA", "PNG"), ("I;16", "PNG"), ("I;16", "TIFF"), ("I", "TIFF"), ("F", "TIFF"),
        ("LAB", "TIFF"),
    ],
)  # fmt: skip
def test_every_colour_mode_is_decoded(mode: str, name: str) -> None:
    grey = mode in {"L", "1", "LA", "I;16", "I", "F"}
    source = quadrants(mode="L") if grey else quadrants()
    if mode in {"I;16", "I"}:
        picture = Image.fromarray(np.asarray(source).astype(np.uint16 if mode == "I;16" else np.int32) * 257)
    elif mode == "LAB":
        profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
        picture = ImageCms.applyTransform(source, ImageCms.buildTransform(*profiles, "RGB", "LAB")) or source
    else:
        picture = source.convert(mode)
    data = encoded(picture, name)
    image = decode_picture(data, height=48, width=64)
    wanted = [(76,) * 3, (149,) * 3, (29,) * 3, WHITE] if grey else [RED, GREEN, BLUE, WHITE]
    # Dithering, chroma and a stretch over the picture's own range move single values; the order of greys must stay.
    if mode in {"1", "I", "F"}:
        means = [
            image[y, x].mean() for y in (slice(4, 20), slice(28, 44)) for x in (slice(4, 28), slice(36, 60))
        ]
        assert means[2] < means[0] < means[1] < means[3]
    else:
        assert_near(corners(image), wanted, tolerance=30)


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    """Pillow's own conversion would clip nearly all of these to white."""
    ramp = np.linspace(0, 65535, 256 * 4, dtype=np.uint16).reshape(4, 256)
    image = decode_picture(encoded(Image.fromarray(ramp), "PNG"), height=4, width=256)
    assert image.mean() == pytest.approx(127, abs=2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pictures_stand_upright(orientation: int, name: str) -> None:
    upright = quadrants(96, 64)
    # The inverse of what a viewer does with each orientation.
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    picture = upright.transpose(stored[orientation]) if orientation in stored else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture, name, exif=exif)
    image = decode_picture(data, height=40, width=24)
    assert image.shape == (40, 24, 3)
    assert_near(corners(image), [RED, GREEN, BLUE, WHITE], tolerance=40)


def test_a_nonsense_orientation_is_passed_over() -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    image = decode_picture(encoded(quadrants(), "JPEG", exif=exif, quality=95), height=16, width=16)
    assert_near(corners(image), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize("name", ["PNG", "WEBP", "GIF", "TIFF"])
def test_transparency_lies_on_white(name: str) -> None:
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 16, 32))
    image = decode_picture(encoded(picture, name), height=32, width=32)
    assert_near([tuple(image[16, 4]), tuple(image[16, 28])], [RED, WHITE])


def test_a_transparent_palette_colour_lies_on_white() -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.paste(1, (0, 0, 4, 8))
    image = decode_picture(encoded(picture, "PNG", transparency=0), height=8, width=8)
    assert_near([tuple(image[4, 1]), tuple(image[4, 6])], [RED, WHITE])


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_counts(name: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    data = encoded(frames[0], name, save_all=True, append_images=frames[1:])
    image = decode_picture(data, height=8, width=8)
    assert_near([tuple(image[4, 4])], [RED])


def test_phone_pictures_with_a_second_picture_inside_are_jpegs() -> None:
    data = encoded(quadrants(), "MPO", save_all=True, append_images=[quadrants()], quality=95)
    assert_near(corners(decode_picture(data, height=16, width=16)), [RED, GREEN, BLUE, WHITE])


def test_the_fast_way_with_large_jpegs_agrees_with_the_plain_one() -> None:
    noise = Image.effect_noise((1600, 1200), 80).convert("RGB").resize((160, 120)).resize((1600, 1200))
    picture = Image.blend(noise, quadrants(1600, 1200), 0.5)
    data = encoded(picture, "JPEG", quality=92)
    plain = Image.open(io.BytesIO(data)).resize((224, 224), Image.Resampling.BILINEAR)
    fast = decode_picture(data, height=224, width=224)
    assert np.abs(fast.astype(int) - np.asarray(plain).astype(int)).mean() < 3


@pytest.mark.parametrize("name", ACCEPTED_FORMATS)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_truncated_pictures_are_corrupt(name: str, share: float) -> None:
    noise = Image.effect_noise((256, 256), 90).convert("RGB")
    data = encoded(noise, name)
    with pytest.raises(CorruptPictureError, match=r"truncated or damaged.*Send the whole file"):
        decode_picture(data[: int(len(data) * share)], height=32, width=32)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "not a picture"),
        (b"hello, world" * 100, "not a picture"),
        (b"https://example.org/photo.jpg", "the address of a picture, not the picture itself"),
        (b"BM is how this text begins, and it is no bitmap", "not a picture"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"<?xml version='1.0'?><svg></svg>", "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_list(data: bytes, match: str) -> None:
    with pytest.raises(NotAPictureError, match=match) as caught:
        decode_picture(data, height=8, width=8)
    assert all(name in str(caught.value) for name in ACCEPTED_FORMATS)


@pytest.mark.parametrize("name", ["PPM", "ICO", "TGA", "PCX"])
def test_formats_off_the_list_are_refused_though_pillow_knows_them(name: str) -> None:
    with pytest.raises(NotAPictureError):
        decode_picture(encoded(quadrants(), name), height=8, width=8)


@pytest.mark.parametrize("name", ACCEPTED_FORMATS)
def test_too_many_pixels_are_refused(name: str) -> None:
    data = encoded(quadrants(200, 100), name)
    with pytest.raises(TooManyPixelsError, match=r"200 × 100 = 20,000 pixels; 19,999 are allowed"):
        decode_picture(data, height=8, width=8, max_pixels=19_999)
    assert decode_picture(data, height=8, width=8, max_pixels=20_000).shape == (8, 8, 3)


@pytest.mark.parametrize(
    "options", [{"lossless": True}, {"lossless": False}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}]
)
def test_large_webp_canvases_are_refused_before_pillow_sees_them(options: dict[str, object]) -> None:
    data = encoded(quadrants(300, 200), "WEBP", **options)
    with pytest.raises(TooManyPixelsError, match="300 × 200"):
        decode_picture(data, height=8, width=8, max_pixels=1000)


def png_header(width: int, height: int) -> bytes:
    """A PNG of any size, its pixels all one colour and so in next to no bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + width)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_000, 16_000])
def test_a_bomb_is_refused_without_being_decoded(side: int) -> None:
    bomb = png_header(side, side)
    assert len(bomb) < 400_000
    tracemalloc.start()
    try:
        with pytest.raises(TooManyPixelsError):
            decode_picture(bomb, height=8, width=8)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def with_scans(more: int) -> bytes:
    """A progressive JPEG whose last scan comes so many times more."""
    data = encoded(quadrants(64, 48), "JPEG", progressive=True)
    end = data.rindex(b"\xff\xd9")
    return data[:end] + more * data[data.rindex(b"\xff\xda") : end] + data[end:]


def test_a_jpeg_of_many_scans_is_refused() -> None:
    assert scans(with_scans(0)) == 10
    assert decode_picture(with_scans(30), height=8, width=8).shape == (8, 8, 3)
    assert scans(with_scans(100)) == 110
    with pytest.raises(CorruptPictureError, match="more than 50 scans"):
        decode_picture(with_scans(100), height=8, width=8)


def test_what_only_looks_like_scans_is_not_counted() -> None:
    data, look_alikes = encoded(quadrants(), "JPEG"), 100 * b"\xff\xda"
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(look_alikes)) + look_alikes
    # Such as the film that a phone puts behind the picture.
    for padded in (data + look_alikes, data[:2] + comment + data[2:]):
        assert scans(padded) == 1
        assert_near(corners(decode_picture(padded, height=20, width=30)), [RED, GREEN, BLUE, WHITE])


def tiled(side: int, tile: int) -> bytes:
    """A grey TIFF of one deflated tile, black."""
    body = zlib.compress(bytes(tile * tile))
    numbers = {
        256: side,
        257: side,
        258: 8,
        259: 8,
        262: 1,
        277: 1,
        322: tile,
        323: tile,
        324: 8,
        325: len(body),
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in numbers.items())
    offset = 8 + len(body)
    return b"II*\0" + struct.pack("<I", offset) + body + struct.pack("<H", len(numbers)) + entries + bytes(4)


def test_tiles_larger_than_the_picture_count() -> None:
    assert decode_picture(tiled(64, 128), height=8, width=8, max_pixels=128 * 128).shape == (8, 8, 3)
    with pytest.raises(TooManyPixelsError, match="1024 × 1024"):
        decode_picture(tiled(64, 1024), height=8, width=8, max_pixels=1_000_000)


def test_no_side_may_be_too_long() -> None:
    data = png_header(1, MAX_SIDE + 1)
    with pytest.raises(TooManyPixelsError, match="no side may be longer than 65,535"):
        decode_picture(data, height=8, width=8)
    assert decode_picture(png_header(1, MAX_SIDE), height=8, width=8).shape == (8, 8, 3)


def test_avif_is_named_and_refused() -> None:
    with pytest.raises(NotAPictureError, match="an AVIF file, which is not read here"):
        decode_picture(b"\0\0\0\x1cftypavif" + bytes(40), height=8, width=8)


@pytest.mark.parametrize("name", ACCEPTED_FORMATS)
def test_sniffing_names_what_pillow_writes(name: str) -> None:
    assert sniff_format(encoded(quadrants(), name)) == name


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*ACCEPTED_FORMATS]), st.integers(0, 2**32), st.integers(1, 30))
def test_damage_never_escapes_as_anything_else(name: str, seed: int, changes: int) -> None:
    dice = random.Random(seed)
    data = bytearray(encoded(quadrants(40, 30), name))
    for _ in range(changes):
        data[dice.randrange(len(data))] = dice.randrange(256)
    try:
        image = decode_picture(bytes(data), height=8, width=8, max_pixels=100_000)
    except PictureError:
        return
    assert image.shape == (8, 8, 3)
