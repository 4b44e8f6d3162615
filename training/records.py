"""Labelled pictures in TFRecord shards of `tf.train.Example`.

Features of an example, by the names that TF-Slim and the Object Detection API made usual:

| feature | type | meaning |
|---|---|---|
| `image/encoded` | bytes | a whole picture file; needed |
| `image/class/text` | bytes | the label, UTF-8 |
| `image/class/label` | int64 | its number in `labels.txt`; read where `image/class/text` is absent |
| `image/filename` | bytes | the picture's name |
| `image/format` | bytes | `jpeg`, `png`, …; written for others, not read |
| `image/source`, `image/licence`, `image/task` | bytes | as in a manifest; may be absent |

`labels.txt` beside the shards has a line `number:label` for each class.
"""

import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tqdm import tqdm

from training.data import Dataset, Picture
from training.errors import DataError
from training.example_proto import example_class
from training.shards import ShardError, find_shards, missing_shards, read_frames

LABELS_FILE = "labels.txt"
_SHARDS_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class _Found:
    """One example: where its picture is, and what it tells about it."""

    number: int
    span: tuple[int, int]
    digest: str
    name: str
    label: str | int
    task: str | None
    source: str
    licence: str


@dataclass(frozen=True, slots=True)
class _Index:
    examples: tuple[_Found, ...]
    problems: tuple[str, ...]


def read_records(root: Path, *, task: str | None = None) -> Dataset:
    """Index the shards of a folder, in parallel, and check every checksum.

    Of a damaged shard all whole records are used, and each loss becomes a problem. A picture is named by its
    `image/filename`; a second one of that name, or one without, by `shard#number`. A shard that has not changed
    since is not indexed again by the same process.

    Args:
        root: The folder of the shards, or one shard.
        task: Takes the examples of this `image/task`, and those that have none; by default all.

    Returns:
        The pictures, each of which reads itself out of its shard.

    Raises:
        DataError: No shard, none with a usable example, or labels that are numbers without `labels.txt`.
    """
    shards = find_shards(root)
    if not shards:
        raise DataError(f"There are no TFRecord shards in {root}.")
    problems = [f"{name}: the shard is missing" for name in missing_shards(shards)]
    # Asked for the first number only: a file of that name beside shards that tell their labels may be anything.
    names_of_labels = functools.cache(lambda: _labels_beside(root if root.is_dir() else root.parent))
    pictures: list[Picture] = []
    names: set[str] = set()
    for shard, index in zip(shards, _indexed(shards), strict=True):
        problems += [f"{shard.name}: {problem}" for problem in index.problems]
        for one in index.examples:
            unique = f"{shard.name}#{one.number}"
            name = one.name if one.name and one.name not in names else unique
            names.add(name)  # also where the task is another: a name must not hang on what is asked for
            if None in (task, one.task) or one.task == task:
                label = _label(one, shard, names_of_labels)
                told = (one.source, one.licence, one.span, one.task or "")
                pictures.append(Picture(name, shard, label, one.digest, *told))
    if not pictures:
        wanted = f"no examples of task {task!r}" if task is not None else "no examples"
        first = f" (the first problem: {problems[0]})" if problems else ""
        raise DataError(f"There are {wanted} in the {len(shards)} shards of {root}{first}.")
    return Dataset(tuple(sorted(pictures, key=lambda one: one.name)), tuple(problems))


def _indexed(shards: list[Path]) -> Iterator[_Index]:
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(shards), desc="shards", unit="shard", mininterval=5, disable=len(shards) < 8) as bar,
    ):
        for index in pool.map(_index, shards):
            bar.update()
            yield index


def _index(shard: Path) -> _Index:
    try:
        status = shard.stat()
    except OSError as error:
        return _Index((), (str(error.strerror),))
    return _read_index(shard, status.st_size, status.st_mtime_ns)


@functools.lru_cache(_SHARDS_REMEMBERED)
def _read_index(shard: Path, _size: int, _changed: int) -> _Index:
    examples = []
    problems = []
    try:
        with shard.open("rb") as file:
            for frame in read_frames(file):
                if frame.data is None:
                    problems.append(f"record {frame.number} is damaged: its checksum does not hold")
                    continue
                try:
                    examples.append(_example(frame.number, frame.start, frame.data))
                except DataError as error:
                    problems.append(f"record {frame.number}: {error}")
    except ShardError as error:
        problems.append(f"{error}; {len(examples)} examples before that are used")
    except OSError as error:
        problems.append(str(error.strerror))
    return _Index(tuple(examples), tuple(problems))


def _example(number: int, start: int, data: bytes) -> _Found:
    try:
        features = example_class().FromString(data).features.feature
    except DecodeError as error:
        raise DataError("it is no tf.train.Example") from error
    encoded = _bytes(features, "image/encoded")
    if not encoded:
        raise DataError("it has no image/encoded")
    texts = {
        name: (_bytes(features, name) or b"").decode(errors="replace")
        for name in ("image/class/text", "image/filename", "image/source", "image/licence")
    }
    label: str | int = texts["image/class/text"]
    if not label:
        numbers = features["image/class/label"].int64_list.value if "image/class/label" in features else ()
        if not numbers:
            raise DataError("it has no label: image/class/text or image/class/label")
        label = int(numbers[0])
    task = _bytes(features, "image/task")
    return _Found(
        number,
        # An Example holds the picture's bytes as they are, so they can be read without parsing it again.
        (start + data.index(encoded), len(encoded)),
        hashlib.sha256(encoded).hexdigest(),
        texts["image/filename"],
        label,
        task.decode(errors="replace") if task is not None else None,
        texts["image/source"],
        texts["image/licence"],
    )


def _bytes(features: Any, name: str) -> bytes | None:
    """The first value of a feature; None where it is absent. A look-up alone would add it to the map."""
    values = features[name].bytes_list.value if name in features else ()
    return bytes(values[0]) if values else None


def _label(one: _Found, shard: Path, names_of_labels: Callable[[], dict[int, str]]) -> str:
    if isinstance(one.label, str):
        return one.label
    names = names_of_labels()
    if one.label not in names:
        raise DataError(
            f"{shard}, record {one.number}: its label is the number {one.label}, and {LABELS_FILE} beside the shards "
            "does not name it. Put that file there, a line `number:label` for each class."
        )
    return names[one.label]


def _labels_beside(folder: Path) -> dict[int, str]:
    path = folder / LABELS_FILE
    if not path.is_file():
        return {}
    names = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            number, _, name = line.partition(":")
            if line.strip():
                names[int(number)] = name.strip()
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read: {error}. It needs a line `number:label` for each class."
        ) from error
    return names


def serialised_example(
    data: bytes,
    *,
    name: str,
    label: str,
    number: int,
    told: dict[str, str],
    form: str | None,
) -> bytes:
    """Write one example.

    Args:
        data: The picture's bytes.
        name: Its name.
        label: Its class.
        number: The class's number in `labels.txt`.
        told: Source, licence and task; empty ones are left out.
        form: The picture's format, where its first bytes tell it.

    Returns:
        The example's bytes, the same for the same values.
    """
    example = example_class()()
    features = example.features.feature
    features["image/encoded"].bytes_list.value.append(data)
    features["image/class/label"].int64_list.value.append(number)
    texts = {"filename": name, "class/text": label, "format": (form or "").lower(), **told}
    for key, text in texts.items():
        if text:
            features[f"image/{key}"].bytes_list.value.append(text.encode())
    serialised: bytes = example.SerializeToString(deterministic=True)
    return serialised
