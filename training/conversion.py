"""The command `python -m training records`: labelled pictures into TFRecord shards, whole and resumable.

Which picture goes into which shard follows from names and sizes alone. Shards are written into a draft folder beside
the asked one, each under a name that no reader takes until it is complete, and the folder is renamed at the end: so
there is never a half set of shards, and a run that was killed goes on with the shard it was writing.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from preprocessing import sniff_format
from training.data import Dataset, Picture
from training.errors import DataError
from training.reading import read_data
from training.records import LABELS_FILE, serialised_example
from training.shards import write_frame

_MEGABYTE = 1_000_000
_WRITERS = 2
_PLAN = "plan.json"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options that only this command has."""
    command.add_argument(
        "--out", type=Path, required=True, help="the folder of shards; it must not exist yet"
    )
    command.add_argument(
        "--shard-size",
        type=int,
        default=100,
        metavar="MB",
        help="about so many megabytes each (default: %(default)s)",
    )


def run_conversion(options: argparse.Namespace) -> None:
    """Write the options' pictures as shards."""
    data = read_data(options.data, options.manifest, task=options.task)
    shards = write_records(data, options.out, shard_bytes=options.shard_size * _MEGABYTE)
    for problem in data.problems:
        print(f"left out: {problem}")
    size = sum(shard.stat().st_size for shard in shards)
    print(f"{len(data.pictures)} pictures, {len(shards)} shards, {size / _MEGABYTE:.0f} MB in {options.out}")


def write_records(data: Dataset, out: Path, *, shard_bytes: int = 100 * _MEGABYTE) -> list[Path]:
    """Write pictures as shards, with `labels.txt` beside; their bytes are kept as they are, readable or not.

    Args:
        data: The pictures, each of which may tell its source, licence and task.
        out: The folder of shards; it must not exist, or be empty.
        shard_bytes: About the size of a shard. A larger picture has a shard of its own.

    Returns:
        The shards, which have the pictures in the order of their names.

    Raises:
        DataError: The folder has something in it, the draft beside it is of other data, or a picture has changed.
        OSError: A picture cannot be read, or the disk is full; the complete shards are kept for the next run.
    """
    if shard_bytes < 1:
        raise DataError("A shard has at least one megabyte.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} has something in it already. Name another folder, or remove it.")
    plan = _plan(data.pictures, shard_bytes)
    draft = out.with_name(f".{out.name}.draft")
    draft.mkdir(parents=True, exist_ok=True)
    _claim(
        draft, {"fingerprint": data.fingerprint, "told": _digest_of_told(data), "shard_bytes": shard_bytes}
    )
    numbers = {label: number for number, label in enumerate(data.labels)}
    names = [f"pictures-{number:05}-of-{len(plan):05}.tfrecord" for number in range(len(plan))]

    def write(number: int) -> int:
        if not (draft / names[number]).exists():
            _write_shard(draft / names[number], plan[number], numbers)
        return len(plan[number])

    with (
        ThreadPoolExecutor(_WRITERS) as pool,
        tqdm(total=len(data.pictures), desc="records", unit="picture", mininterval=5) as bar,
    ):
        try:
            for count in pool.map(write, range(len(plan))):
                bar.update(count)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # a full disk is full for the other shards too
            raise
    labels = "".join(f"{number}:{label}\n" for label, number in numbers.items())
    (draft / LABELS_FILE).write_text(labels, encoding="utf-8")
    (draft / _PLAN).unlink()
    if out.exists():
        out.rmdir()
    draft.rename(out)
    return [out / name for name in names]


def _plan(pictures: Sequence[Picture], shard_bytes: int) -> list[list[Picture]]:
    """Fill one shard after the other."""
    shards: list[list[Picture]] = [[]]
    room = shard_bytes
    for picture in pictures:
        size = picture.span[1] if picture.span is not None else picture.path.stat().st_size
        if shards[-1] and size > room:
            shards.append([])
            room = shard_bytes
        shards[-1].append(picture)
        room -= size
    return shards


def _told(picture: Picture) -> dict[str, str]:
    return {"source": picture.source, "licence": picture.licence, "task": picture.task}


def _digest_of_told(data: Dataset) -> str:
    """SHA-256 over what shards tell beside names, labels and contents, which the data's fingerprint leaves out."""
    whole = hashlib.sha256()
    for picture in data.pictures:
        whole.update(json.dumps(_told(picture)).encode())
    return whole.hexdigest()


def _claim(draft: Path, identity: dict[str, str | int]) -> None:
    """Mark a draft as being of these data, or find it so marked."""
    path = draft / _PLAN
    if not path.exists():
        if any(draft.glob("*.tfrecord")):
            raise DataError(f"{draft} holds shards, but not which data they are of. Remove it.")
        path.write_text(json.dumps(identity), encoding="utf-8")
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        known = None
    if known != identity:
        raise DataError(
            f"{draft} is left from a conversion of other data, or with another shard size. Remove it, or repeat that "
            "command to finish it."
        )


def _write_shard(path: Path, pictures: Sequence[Picture], numbers: dict[str, int]) -> None:
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("wb") as file:
            for picture in pictures:
                data = picture.read()
                if hashlib.sha256(data).hexdigest() != picture.digest:
                    raise DataError(f"{picture.place} has changed since it was listed. Start again.")
                example = serialised_example(
                    data,
                    name=picture.name,
                    label=picture.label,
                    number=numbers[picture.label],
                    told=_told(picture),
                    form=sniff_format(data),
                )
                write_frame(file, example)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
