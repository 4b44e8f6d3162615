"""Asking a run about pictures, as its network stands, without exporting it."""

from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from preprocessing import decode_picture
from training.classes import find_classes
from training.classifier import build_classifier
from training.errors import DataError
from training.head_set import HeadSet
from training.runs import FinishedRun
from training.split_file import read_split
from training.tunable import probabilities_of
from training.watching import measure_logits


def pictures_and_classes(
    run: FinishedRun, split: Path, root: Path, part: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode the pictures of one part of a split file at a run's size.

    Args:
        run: The run.
        split: The file.
        root: The folder of the pictures.
        part: One of `split.PARTS`.

    Returns:
        Pixels, uint8 [pictures, height, width, 3], and the place of each picture's class among those of the run's
        first head, int64 [pictures].

    Raises:
        DataError: There are none, or one is of a class that the run does not know.
    """
    pictures = read_split(split, root, part, task=run.settings.task)
    known = find_classes((one.label for one in pictures), run.settings.task)
    place_of = {
        class_id: place for place, class_id in enumerate(HeadSet.from_record(run.record).heads[0].ids)
    }
    strange = sorted(label for label, place in known.of_label.items() if known.ids[place] not in place_of)
    if strange:
        raise DataError(f"{split} has pictures of what the run does not know: {', '.join(strange)}.")
    height, width = run.settings.backbone.height, run.settings.backbone.width
    pixels = np.stack([decode_picture(one.read(), height=height, width=width) for one in pictures])
    return pixels, np.array([place_of[known.ids[known.of_label[one.label]]] for one in pictures])


def twin_of(run: FinishedRun) -> keras.Model:
    """The network of a run, from pixels to the probabilities of all its heads."""
    heads = HeadSet.from_record(run.record)
    return build_classifier(run.settings.backbone, run.backbone, run.settings.pooling, run.head, heads)


def measure_first_head(
    run: FinishedRun, twin: keras.Model, pixels: NDArray[np.uint8], classes: NDArray[np.int64]
) -> dict[str, float]:
    """Measure a run's first head, as `watching.measure_logits` does, by a twin that may have other weights.

    Args:
        run: The run.
        twin: Its network, from `twin_of`.
        pixels: From `pictures_and_classes`.
        classes: From there too.
    """
    heads = HeadSet.from_record(run.record)
    probabilities = probabilities_of(twin, pixels)[:, heads.slices[heads.heads[0].name]]
    return measure_logits(np.log(np.maximum(probabilities, 1e-12)), classes)
