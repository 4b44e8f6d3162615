"""A folder of pictures with everything wrong that a report must find."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.training.pictures import COLOURS, coloured_noise, png, write_class_folders


def jpeg(pixels: NDArray[np.uint8], *, quality: int = 85, orientation: int | None = None) -> bytes:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, exif=exif)
    return file.getvalue()


def animation() -> bytes:
    frames = [Image.fromarray(coloured_noise((200, 90, 90), seed)) for seed in (900, 901)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def write_troubled_folders(root: Path) -> Path:
    """Three classes of four good pictures each, an empty one, one of a single picture, and these troubles.

    `baseball/copy.png` is `baseball/000.png`; `cricket/copy.png` is `tennis/000.png` with another label;
    `baseball/near.jpg` is `baseball/001.png` saved again; `cricket/mirrored.png` is `tennis/001.png` mirrored.
    """
    write_class_folders(root, each=4)
    (root / "baseball" / "copy.png").write_bytes((root / "baseball" / "000.png").read_bytes())
    (root / "cricket" / "copy.png").write_bytes((root / "tennis" / "000.png").read_bytes())
    (root / "baseball" / "near.jpg").write_bytes(jpeg(coloured_noise(COLOURS["baseball"], 1)))
    mirrored = coloured_noise(COLOURS["tennis"], 2001)[:, ::-1]
    (root / "cricket" / "mirrored.png").write_bytes(png(mirrored))
    (root / "tennis" / "bad.png").write_bytes((root / "tennis" / "002.png").read_bytes()[:60])
    (root / "tennis" / "empty.png").touch()
    (root / "judo").mkdir()
    (root / "chess").mkdir()
    turned = coloured_noise((90, 90, 200), 800, height=32, width=160)
    (root / "chess" / "turned.jpg").write_bytes(jpeg(turned, orientation=6))
    (root / "chess" / "moving.gif").write_bytes(animation())
    return root


def write_split(path: Path, parts: dict[str, str]) -> Path:
    path.write_text("file,part\n" + "".join(f"{name},{part}\n" for name, part in parts.items()))
    return path
