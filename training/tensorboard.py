"""Event files for TensorBoard: the scalars of a training, step by step, one curve however often it was stopped.

The files are written with TensorFlow, and not at all on a machine without it; the package `tensorboard` is needed
only to look at them: `tensorboard --logdir RUNS`. An event file is a TFRecord file of `Event` messages; the first
names the format.
"""

import importlib.util
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

#: The folder of a run that event files go into.
FOLDER = "tensorboard"
_FORMAT = "brain.Event:2"
_PATTERN = "events.out.tfevents.*"
#: Where the figures of an epoch or a pass are shown; others go by their own name.
_TAGS = {
    "loss": "loss/training",
    "validation_loss": "loss/validation",
    "validation_top1": "validation/top1",
    "validation_top3": "validation/top3",
    "temperature": "validation/temperature",
    "learning_rate": "speed/learning_rate",
    "seconds": "speed/seconds",
    "pictures_per_second": "speed/pictures_per_second",
}


class ScalarLog:
    """The log of one training in a folder of its own, told the rows of its history.

    The first row decides what becomes of an earlier log: steps before it stay, its own step and later ones are
    dropped. So a training that goes on after a kill goes on in the same curve, and one that starts anew starts a new
    one. Use it as a context, or close it.
    """

    def __init__(self, folder: Path, *, pictures: int | None = None) -> None:
        """Name a log; nothing is touched before the first row.

        Args:
            folder: Where the event files go; made where missing.
            pictures: How many pictures are trained on in a step, for rows that tell seconds but no speed.
        """
        self._folder = folder
        self._pictures = pictures
        self._writer: Any = None

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row.

        Args:
            row: `epoch`, which is the step, and figures by name; mappings of figures are written under their own
                names, and what is no number is left out.
        """
        # With another backend TensorFlow may be missing; nothing but these files needs it in training.
        if importlib.util.find_spec("tensorflow") is None:
            return
        import tensorflow as tf

        step = int(row["epoch"])
        if self._writer is None:
            self._writer = _open(self._folder, step)
        known = dict(row)
        if self._pictures and known.get("seconds") and "pictures_per_second" not in known:
            known["pictures_per_second"] = self._pictures / known["seconds"]
        known.pop("epoch")
        values = [
            tf.compat.v1.Summary.Value(tag=tag, simple_value=value) for tag, value in _figures(known, "")
        ]
        _write(self._writer, step=step, summary=tf.compat.v1.Summary(value=values))
        self._writer.flush()

    def close(self) -> None:
        """Close the file; a further row would open another."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> "ScalarLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read the curves of a folder back.

    Args:
        folder: The folder of a log.

    Returns:
        Steps and values of each tag, in the order of writing. The end of a file that a kill left half-written is
        left out.
    """
    curves: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.glob(_PATTERN)):
        for event in _events(path):
            for value in event.summary.value:
                curves.setdefault(value.tag, []).append((event.step, value.simple_value))
    return curves


def _figures(row: Mapping[str, Any], under: str) -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _figures(value, f"{under}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield under + (_TAGS.get(name, name) if not under else name), float(value)


def _open(folder: Path, step: int) -> Any:
    """A new file; of those before it, no event of this step or a later one stays."""
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob(_PATTERN)):
        events = [event for event in _events(path) if not event.file_version]
        kept = [event for event in events if event.step < step]
        if not kept:
            path.unlink()
        elif len(kept) < len(events):
            draft = folder / ".draft"
            with tf.io.TFRecordWriter(str(draft)) as writer:
                _write(writer, file_version=_FORMAT)
                for event in kept:
                    writer.write(event.SerializeToString())
            draft.replace(path)
    # TensorBoard reads the files of a folder in the order of their names.
    writer = tf.io.TFRecordWriter(str(folder / f"events.out.tfevents.{time.time_ns()}"))
    _write(writer, file_version=_FORMAT)
    return writer


def _write(writer: Any, **content: Any) -> None:
    import tensorflow as tf

    writer.write(tf.compat.v1.Event(wall_time=time.time(), **content).SerializeToString())


def _events(path: Path) -> Iterator[Any]:
    import tensorflow as tf

    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield tf.compat.v1.Event.FromString(record)
    except tf.errors.DataLossError:
        # A kill in the middle of a record; all before it is whole.
        return
