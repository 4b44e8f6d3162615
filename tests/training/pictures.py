"""Pictures made by code: every one unlike the others, their class told by colour."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLOURS = {"baseball": (220, 60, 60), "cricket": (60, 200, 60), "tennis": (60, 80, 220)}


def coloured_noise(
    colour: tuple[int, int, int], seed: int, *, height: int = 40, width: int = 40
) -> NDArray[np.uint8]:
    """uint8 [height, width, 3]: random blocks, tinted; no two seeds give like difference hashes."""
    random = np.random.default_rng(seed)
    blocks = random.uniform(0.3, 1.0, size=(8, 8))
    grey = np.kron(blocks, np.ones((height // 8, width // 8)))
    return np.asarray(grey[:, :, None] * np.array(colour), np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_class_folders(root: Path, *, each: int = 12, labels: tuple[str, ...] = tuple(COLOURS)) -> Path:
    """Write `each` pictures for each label into a folder of its name."""
    for number, label in enumerate(labels):
        (root / label).mkdir(parents=True)
        for seed in range(each):
            data = png(coloured_noise(COLOURS[label], 1000 * number + seed))
            (root / label / f"{seed:03}.png").write_bytes(data)
    return root
