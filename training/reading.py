"""One way to labelled pictures, however they are kept: class folders, a manifest, or TFRecord shards."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

from training.data import Dataset, Picture, read_class_folders, read_manifest
from training.errors import DataError
from training.records import read_records
from training.shards import find_shards


def read_data(root: Path, manifest: Path | None, *, task: str) -> Dataset:
    """Read labelled pictures.

    Args:
        root: The folder that the manifest means; or a folder of TFRecord shards, or one shard; or a folder of class
            folders.
        manifest: CSV or Parquet; None where there is none.
        task: Which rows of a manifest, or which examples of shards, are taken; class folders have none.

    Returns:
        The data.

    Raises:
        DataError: There is no usable picture, or the manifest cannot be used.
    """
    if manifest is not None:
        if find_shards(root):
            raise DataError(
                f"{root} holds TFRecord shards, which tell their labels themselves. Leave the manifest out, or name "
                "the folder of the pictures."
            )
        return read_manifest(manifest, root, task=task)
    if find_shards(root):
        return read_records(root, task=task)
    return read_class_folders(root)


def locate(pictures: Iterable[Picture], root: Path) -> tuple[list[Picture], list[str]]:
    """Find pictures that a list, for instance a split file, names.

    Args:
        pictures: With their names; where they lie is not looked at.
        root: The folder of the pictures, or of the shards that hold them.

    Returns:
        Those that are there, with their places and, out of shards, digests; and the names of the others.
    """
    found, missing = [], []
    shards = bool(find_shards(root))
    known = {one.name: one for one in read_records(root).pictures} if shards else {}
    for picture in pictures:
        if picture.name in known:
            one = known[picture.name]
            found.append(dataclasses.replace(picture, path=one.path, digest=one.digest, span=one.span))
        elif not shards and (root / picture.name).is_file():
            found.append(dataclasses.replace(picture, path=root / picture.name))
        else:
            missing.append(picture.name)
    return found, missing


def reader_by_name(root: Path) -> Callable[[str], bytes]:
    """A function that reads a picture by its name.

    Args:
        root: The folder of the pictures, or of the shards that hold them.

    Returns:
        From name to bytes; it raises OSError where there is no such picture.
    """
    if not find_shards(root):
        return lambda name: (root / name).read_bytes()
    known = {one.name: one for one in read_records(root).pictures}

    def read(name: str) -> bytes:
        if name not in known:
            raise FileNotFoundError(f"{name} is not in the shards of {root}")
        return known[name].read()

    return read
