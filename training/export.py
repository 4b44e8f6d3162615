"""Export of a classifier as a SavedModel that keeps the house's model contract (docs/architecture.md)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from training.errors import ExportError
from training.publish import publish
from training.warmup import WARMUP_BATCH_SIZES, write_warmup_requests

#: The most classes in an answer.
MAX_ANSWERS = 20
SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class Scores:
    """What a scorer gives when it has more to say than the probability of each class.

    Attributes:
        probabilities: float32 [batch, classes].
        of_each_class: Further outputs by name, [batch, classes, ...]: cut and sorted as the classes are.
        beside: Further outputs by name, [batch, ...]: given as they are.
    """

    probabilities: Any
    of_each_class: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)


def export_classifier(
    scorer: Callable[[Any], Any],
    class_ids: Sequence[str],
    class_names: Sequence[str],
    height: int,
    width: int,
    directory: Path,
    *,
    version: int | None = None,
    model_name: str | None = None,
    warmup_batch_sizes: Sequence[int] = WARMUP_BATCH_SIZES,
    describe: Callable[[Path], Mapping[str, str]] | None = None,
) -> Path:
    """Export a classifier, with its classes and warm-up requests, into the next version's folder.

    The signature `serving_default` takes `images`, uint8 [batch, height, width, 3], RGB, and gives
    `probabilities` (float32), `class_ids` and `class_names` (string), each [batch, k], k = min(20, classes),
    highest first.

    Args:
        scorer: A Keras model, or any function that TensorFlow can trace: float32 pixels from 0 to 255 of
            shape [batch, height, width, 3] in, float32 class probabilities [batch, classes], or `Scores`, out.
            Scaling is its business.
        class_ids: The catalogue id of each class, in the order of the probabilities.
        class_names: The name of each class, in the same order.
        height: Rows of the input.
        width: Columns of the input.
        directory: The model's folder, `models/<name>`.
        version: The version to publish; by default the next free number.
        model_name: The name in the warm-up requests; by default the folder's name.
        warmup_batch_sizes: The batch sizes of the warm-up requests.
        describe: Called with the finished model's folder before it is published; gives text files to put beside
            the model, by name, for instance `card.json`.

    Returns:
        The folder of the version, complete.

    Raises:
        ExportError: The classes are none, doubled or do not fit the probabilities, or the version exists.
    """
    _check_classes(class_ids, class_names)

    def write(draft: Path) -> None:
        _write_saved_model(scorer, class_ids, class_names, height, width, draft)
        write_warmup_requests(
            draft,
            model_name=model_name or directory.name,
            height=height,
            width=width,
            batch_sizes=warmup_batch_sizes,
        )
        for name, text in (describe(draft) if describe else {}).items():
            (draft / name).write_text(text, encoding="utf-8")

    return publish(write, directory, version)


def _write_saved_model(
    scorer: Callable[[Any], Any],
    class_ids: Sequence[str],
    class_names: Sequence[str],
    height: int,
    width: int,
    directory: Path,
) -> None:
    count = len(class_ids)
    top = min(MAX_ANSWERS, count)

    def serve(images: Any) -> dict[str, Any]:
        scored = scorer(tf.cast(images, tf.float32))
        scored = scored if isinstance(scored, Scores) else Scores(scored)
        probabilities = tf.convert_to_tensor(scored.probabilities)
        if probabilities.shape.rank != 2 or probabilities.shape[1] != count:
            raise ExportError(
                f"The classifier gives probabilities of shape {probabilities.shape} for {count} classes; "
                f"[batch, {count}] is needed."
            )
        highest, which = tf.math.top_k(tf.cast(probabilities, tf.float32), k=top)
        # Constants of the graph: an answer can only name classes of the version that gave it.
        return {
            "probabilities": highest,
            "class_ids": tf.gather(tf.constant(list(class_ids)), which),
            "class_names": tf.gather(tf.constant(list(class_names)), which),
            **{name: tf.gather(values, which, batch_dims=1) for name, values in scored.of_each_class.items()},
            **scored.beside,
        }

    # Only what the signature uses is kept: tracking a Keras model as well writes its weights a second time.
    archive = keras.export.ExportArchive()
    images_spec = tf.TensorSpec([None, height, width, 3], tf.uint8, name="images")
    archive.add_endpoint(SIGNATURE, serve, input_signature=[images_spec])
    archive.write_out(str(directory), verbose=False)


def _check_classes(class_ids: Sequence[str], class_names: Sequence[str]) -> None:
    if not class_ids or len(class_ids) != len(class_names):
        raise ExportError(
            f"{len(class_ids)} class ids and {len(class_names)} class names: "
            "as many of each are needed, at least one."
        )
    for what, values in (("id", class_ids), ("name", class_names)):
        doubled = sorted({value for value in values if values.count(value) > 1})
        if doubled:
            raise ExportError(f"The class {what} {doubled[0]!r} occurs more than once.")
