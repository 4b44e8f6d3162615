"""Contact sheets: the pictures of a class, small, numbered, on one picture that a person can look over."""

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from preprocessing import PictureError, decode_picture
from training.data import Picture
from training.inspection.headers import Header

FOLDER = "sheets"
#: A sheet's pixels are in memory while it is drawn: 20 MB at this many pictures.
MOST = 600
_TILE, _GAP, _COLUMNS = 104, 4, 10
_BACK, _FRONT, _LABEL = (244, 246, 248), (255, 255, 255), (27, 31, 36)
_QUALITY = 80


def write_sheets(
    output: Path, pictures: Sequence[Picture], headers: Sequence[Header], *, most: int
) -> list[dict[str, Any]]:
    """Write a sheet for each class.

    Args:
        output: The report's folder; the sheets go into a folder there.
        pictures: Those that can be decoded.
        headers: Theirs.
        most: How many pictures of a class are shown, at most `MOST`. Of more, those with the lowest digests: as good
            as drawn by lot, and the same each time.

    Returns:
        For each class `label`, `pictures`, `sheet` (the file, relative to `output`), `width` and `height` of the
        sheet, and `shown`: the names of its pictures by their numbers, from 1.
    """
    members: dict[str, list[int]] = {}
    for position, picture in enumerate(pictures):
        members.setdefault(picture.label, []).append(position)
    (output / FOLDER).mkdir(parents=True, exist_ok=True)
    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, label in enumerate(
            tqdm(sorted(members), desc="contact sheets", unit="class", mininterval=5), start=1
        ):
            drawn = sorted(members[label], key=lambda one: pictures[one].digest)[: min(most, MOST)]
            chosen = sorted(drawn)
            tiles = pool.map(_tile, [pictures[one] for one in chosen], [headers[one] for one in chosen])
            sheet = _sheet(tiles, len(chosen))
            name = f"{FOLDER}/{number:03}-{_slug(label)}.jpg"
            sheet.save(output / name, "JPEG", quality=_QUALITY, optimize=True)
            rows.append(
                {
                    "label": label,
                    "pictures": len(members[label]),
                    "sheet": name,
                    "width": sheet.width,
                    "height": sheet.height,
                    "shown": [pictures[one].name for one in chosen],
                }
            )
    return rows


def _sheet(tiles: Iterator[NDArray[np.uint8] | None], count: int) -> Image.Image:
    columns = min(_COLUMNS, count)
    rows = -(-count // _COLUMNS)
    pitch = _TILE + _GAP
    sheet = Image.new("RGB", (columns * pitch + _GAP, rows * pitch + _GAP), _BACK)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for number, tile in enumerate(tiles):
        left, top = _GAP + number % _COLUMNS * pitch, _GAP + number // _COLUMNS * pitch
        if tile is not None:
            height, width, _ = tile.shape
            sheet.paste(Image.fromarray(tile), (left + (_TILE - width) // 2, top + (_TILE - height) // 2))
        box = draw.textbbox((left + 2, top + 1), str(number + 1), font=font)
        draw.rectangle((left, top, box[2] + 2, box[3] + 2), fill=_LABEL)
        draw.text((left + 2, top + 1), str(number + 1), fill=_FRONT, font=font)
    return sheet


def _tile(picture: Picture, header: Header) -> NDArray[np.uint8] | None:
    scale = _TILE / max(header.width, header.height)
    height, width = max(1, round(header.height * scale)), max(1, round(header.width * scale))
    try:
        return decode_picture(picture.read(), height=height, width=width)
    except (PictureError, OSError):
        return None  # it was good a minute ago; an empty tile says enough


def _slug(label: str) -> str:
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "class"
