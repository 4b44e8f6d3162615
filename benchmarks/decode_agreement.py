"""Does the fast way to decode change what the model answers? Its first answers beside those after exact decoding.

    python -m benchmarks.decode_agreement pictures/ --model models/sport_classifier/4

Exact means: every pixel decoded, then one bilinear resize by Pillow, with no shortcut. Fast is what the gateway does
(preprocessing.decode_picture). The pictures of the folder are taken as they are, and as JPEGs enlarged by the
factors of --enlarge, so that JPEGs of a phone's size are among them wherever the pictures come from: enlarging by
Lanczos, then grain of ±4, so that there is detail in every pixel for a reduced decoding to lose.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocessing import PictureError, decode_picture

ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}
Pixels = NDArray[np.uint8]


def exact(data: bytes, height: int, width: int) -> Pixels:
    """Decode every pixel and resize once."""
    with Image.open(io.BytesIO(data)) as picture:
        whole = picture.convert("RGB")
    return np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR))


def enlarged(factor: int, data: bytes, seed: int) -> bytes:
    """The picture as a JPEG, so many times as wide and high; 1 only writes it anew."""
    with Image.open(io.BytesIO(data)) as picture:
        whole = picture.convert("RGB")
    if factor > 1:
        whole = whole.resize((whole.width * factor, whole.height * factor), Image.Resampling.LANCZOS)
        grain = np.random.default_rng(seed).integers(-4, 5, (whole.height, whole.width, 1), np.int16)
        whole = Image.fromarray(np.clip(np.asarray(whole) + grain, 0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def chosen(folder: Path, count: int) -> list[Path]:
    """So many pictures, evenly from the whole folder."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not found:
        sys.exit(f"{folder} holds no picture ({', '.join(sorted(ENDINGS))}).")
    return [found[place * len(found) // count] for place in range(count)] if count < len(found) else found


def pairs(
    paths: Sequence[Path], size: tuple[int, int], change: Callable[[bytes, int], bytes]
) -> Iterator[list[Pixels]]:
    """Each picture decoded both ways; what is no opaque picture, or broken, is left out."""
    for number, path in enumerate(paths):
        try:
            data = change(path.read_bytes(), number)
            yield [decode_picture(data, height=size[0], width=size[1]), exact(data, *size)]
        except (PictureError, OSError):
            continue


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table; 1 where the fast way agrees on less than --least."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decode_agreement", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="folder of an exported version")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--enlarge", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--least", type=float, default=0.995)
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from training.served import ExportedModel

    model = ExportedModel(options.model)
    paths = chosen(options.folder, options.count)
    ways: dict[str, Callable[[bytes, int], bytes]] = {"as they are": lambda data, _: data}
    for factor in options.enlarge:
        ways[f"JPEG, enlarged {factor}×"] = partial(enlarged, factor)
    print("| pictures | number | same first answer | mean difference of a pixel | largest of a probability |")
    print("|---|---|---|---|---|")
    well = True
    for name, change in ways.items():
        same = number = 0
        furthest, apart = 0.0, 0.0
        for both in pairs(paths, (model.height, model.width), change):
            fast, plain = (model.answer(image[np.newaxis]) for image in both)
            same += fast["class_ids"][0, 0] == plain["class_ids"][0, 0]
            furthest = max(furthest, abs(float(fast["probabilities"][0, 0] - plain["probabilities"][0, 0])))
            apart += float(np.abs(both[0].astype(np.int16) - both[1]).mean())
            number += 1
        if not number:
            sys.exit(f"{options.folder}: none of the {len(paths)} pictures can be decoded ({name}).")
        well = well and same >= options.least * number
        cells = [name, str(number), f"{same / number:.2%}", f"{apart / number:.2f} of 255", f"{furthest:.3f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
