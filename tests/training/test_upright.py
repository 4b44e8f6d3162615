"""Sizes of pictures whose EXIF is odd, wherever they are asked for: decoding accepts all of these."""

import base64
import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from preprocessing import decode_picture
from tests.support.pictures import encoded, quadrants
from tests.training.pictures import coloured_noise
from training.data import read_class_folders
from training.inspection.headers import Header, read_headers
from training.inspection.make import write_inspection
from training.report.distortions import upright
from training.report.thumbnails import thumbnail
from training.upright import upright_size

# Pillow warns of damaged metadata; what counts here is that the picture passes.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

_ASCII, _SHORT, _LONG, _UNDEFINED = 2, 3, 4, 7
_RESOLUTION_UNIT, _ORIENTATION = 0x0128, 0x0112
_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def exif(*entries: tuple[int, int, bytes]) -> bytes:
    """An EXIF block of entries that hold their value themselves: tag, type, at most four bytes."""
    counts = {_SHORT: 1, _LONG: 1}
    rows = [
        struct.pack("<HHI4s", tag, kind, counts.get(kind, len(value)), value) for tag, kind, value in entries
    ]
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(rows)) + b"".join(rows) + bytes(4)


def tiff(orientation: int | None, compression: str) -> bytes:
    """80 x 40 as stored; None tells the orientation 6 in XMP alone."""
    told = {700: _XMP} if orientation is None else {_ORIENTATION: orientation}
    return encoded(quadrants(80, 40), "TIFF", compression=compression, tiffinfo=told)


GARBAGE = b"Exif\0\0garbage!"
#: Files of pictures that are stored 80 x 40, with their upright size and whether they are turned or mirrored.
ODD = {
    "JPEG, orientation as text": (
        encoded(quadrants(80, 40), "JPEG", exif=exif((_ORIENTATION, _ASCII, b"6\0"))),
        (80, 40),
        False,
    ),
    "JPEG, orientation undefined": (
        encoded(quadrants(80, 40), "JPEG", exif=exif((_ORIENTATION, _UNDEFINED, b"6"))),
        (80, 40),
        False,
    ),
    "JPEG, orientation out of range": (
        encoded(quadrants(80, 40), "JPEG", exif=exif((_ORIENTATION, _SHORT, b"\x63\0"))),
        (80, 40),
        False,
    ),
    "JPEG, a block that cannot be written again": (
        encoded(
            quadrants(80, 40),
            "JPEG",
            exif=exif((_ORIENTATION, _SHORT, b"\6\0"), (_RESOLUTION_UNIT, _LONG, b"\xff\xff\xff\0")),
        ),
        (40, 80),
        True,
    ),
    "PNG, no EXIF block": (encoded(quadrants(80, 40), "PNG", exif=GARBAGE), (80, 40), False),
    "WebP, no EXIF block": (encoded(quadrants(80, 40), "WEBP", exif=GARBAGE), (80, 40), False),
    "TIFF, raw, upright": (tiff(1, "raw"), (80, 40), False),
    "TIFF, raw, mirrored": (tiff(2, "raw"), (80, 40), True),
    "TIFF, raw, on its side": (tiff(6, "raw"), (40, 80), True),
    "TIFF, libtiff, on its side": (tiff(6, "tiff_deflate"), (40, 80), True),
    "TIFF, raw, on its side by XMP": (tiff(None, "raw"), (40, 80), True),
    "TIFF, libtiff, on its side by XMP": (tiff(None, "tiff_deflate"), (40, 80), True),
}


@pytest.mark.parametrize(("data", "size", "turned"), ODD.values(), ids=ODD)
def test_every_reader_of_a_size_agrees_with_decoding(
    tmp_path: Path, data: bytes, size: tuple[int, int], turned: bool
) -> None:
    width, height = size
    assert decode_picture(data, height=height, width=width).shape == (height, width, 3)
    with Image.open(io.BytesIO(data)) as picture:
        assert upright_size(picture) == size
        picture.load()
        assert upright_size(picture) == size
    assert upright(data).shape == (height, width, 3)
    (tmp_path / "judo").mkdir()
    (tmp_path / "judo" / "a.png").write_bytes(data)
    (header,) = read_headers(read_class_folders(tmp_path).pictures)
    assert (header.width, header.height, header.turned, header.frames) == (width, height, turned, 1)
    _, _, small = thumbnail(data).partition(",")
    with Image.open(io.BytesIO(base64.b64decode(small))) as shown:
        assert shown.size == (112 * width // height, 112)


def test_odd_exif_does_not_end_a_look_at_the_data(tmp_path: Path) -> None:
    (tmp_path / "data" / "judo").mkdir(parents=True)
    for number, (data, _, _) in enumerate(ODD.values()):
        (tmp_path / "data" / "judo" / f"{number:02}.png").write_bytes(data)
    found = write_inspection(
        read_class_folders(tmp_path / "data"),
        tmp_path / "report",
        tmp_path / "cache",
        name="odd",
        distance=6,
        shown=len(ODD),
    )
    assert found["data"]["pictures"] == len(ODD)
    assert 'src=""' not in (tmp_path / "report" / "index.html").read_text("utf-8")


def frames(name: str, cut: int) -> bytes:
    """Three frames of 40 x 40, without the last so many bytes."""
    first, *more = (Image.fromarray(coloured_noise((220, 60, 60), seed)) for seed in range(3))
    data = encoded(first, name, save_all=True, append_images=more)
    return data[: len(data) - cut]


def header_of(data: bytes, folder: Path) -> Header:
    (folder / "judo").mkdir(parents=True)
    (folder / "judo" / "a.gif").write_bytes(data)
    (header,) = read_headers(read_class_folders(folder).pictures)
    return header


@pytest.mark.parametrize("name", ["GIF", "TIFF"])
def test_damage_behind_the_first_frame_does_not_count(tmp_path: Path, name: str) -> None:
    assert header_of(frames(name, 0), tmp_path / "whole").frames == 3
    found = []
    for cut in range(1, len(frames(name, 0)), len(frames(name, 0)) // 80):
        data = frames(name, cut)
        try:
            decode_picture(data, height=8, width=8)
        except ValueError:
            break
        found.append(header_of(data, tmp_path / str(cut)))
    assert len(found) > 20
    assert {(one.width, one.height, one.format) for one in found} == {(40, 40, name)}
    assert {one.frames for one in found} <= {1, 2, 3}
    assert 1 in {one.frames for one in found}
