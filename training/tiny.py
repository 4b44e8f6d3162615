"""A tiny classifier by the model contract, exported in about a second: for tests and for trying a server.

It answers from the mean colour of the picture, so it is sure of nothing and right about nothing.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from training.errors import TrainingError
from training.export import export_classifier


def colour_scorer(classes: int, *, seed: int = 0) -> Callable[[Any], Any]:
    """A classifier by mean colour, with fixed random weights.

    Args:
        classes: How many classes.
        seed: Another seed, other weights.

    Returns:
        A function from float32 pixels [batch, height, width, 3] to float32 probabilities [batch, classes].
    """
    weights = np.random.default_rng(seed).normal(scale=3.0, size=(3, classes)).astype(np.float32)

    def score(images: Any) -> Any:
        colour = tf.reduce_mean(images, axis=[1, 2]) / 127.5 - 1.0
        return tf.nn.softmax(tf.matmul(colour, tf.constant(weights)))

    return score


def export_tiny(
    directory: Path,
    *,
    version: int | None,
    height: int,
    width: int,
    classes: Sequence[tuple[str, str]],
    seed: int = 0,
) -> Path:
    """Export a colour classifier as a version of a model.

    Args:
        directory: The model's folder, `models/<name>`.
        version: The version to publish; None for the next free number.
        height: Rows of the input.
        width: Columns of the input.
        classes: Id and name of each class.
        seed: Seed of the weights.

    Returns:
        The version's folder.

    Raises:
        ExportError: The classes are none or doubled, or the version exists.
    """
    return export_classifier(
        colour_scorer(len(classes), seed=seed),
        [class_id for class_id, _ in classes],
        [name for _, name in classes],
        height,
        width,
        directory,
        version=version,
        warmup_batch_sizes=(1, 4),
    )


def _class(text: str) -> tuple[str, str]:
    class_id, separator, name = text.partition("=")
    if not (class_id and separator and name):
        raise argparse.ArgumentTypeError(f"{text!r}: a class is given as ID=NAME, for instance 74=Baseball")
    return class_id, name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.tiny", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="the model's folder, models/<name>")
    parser.add_argument("--version", type=int, help="default: the next free number")
    parser.add_argument("--height", type=int, default=32)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--classes", type=_class, nargs="+", metavar="ID=NAME", required=True)
    options = parser.parse_args(arguments)
    try:
        place = export_tiny(
            options.directory,
            version=options.version,
            height=options.height,
            width=options.width,
            classes=options.classes,
            seed=options.seed,
        )
    except TrainingError as error:
        print(error, file=sys.stderr)
        return 1
    print(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
