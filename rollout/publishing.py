"""Publishing: a version's folder is copied beside the others and renamed into place, so none is ever half there.

A model server polls the folder, loads whatever number it sees and, after a failed load, does not try that number
again. So the copy is made under a name that is no number. One that was killed is left under such a name; the next
one, which holds the folder's lock and so knows that nobody is at work on it, takes it away.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rollout.errors import RolloutError

_GRAPHS: Final = ("saved_model.pb", "saved_model.pbtxt")
_DRAFT: Final = ".incoming-"


def check_is_version(folder: Path) -> None:
    """Look whether a folder is a whole SavedModel, as far as that can be seen without loading it.

    Raises:
        RolloutError: It is not.
    """
    if not folder.is_dir():
        raise RolloutError(
            f"{folder} is no folder. Name the folder of a version: the one with saved_model.pb in it."
        )
    if not any((folder / name).is_file() for name in _GRAPHS):
        raise RolloutError(f"{folder} is no SavedModel: it has no {_GRAPHS[0]}.")
    variables = folder / "variables"
    if variables.is_dir():
        # `variables.data-00002-of-00003`; the index names them all.
        shards = [path.name.rpartition("-")[2] for path in variables.glob("variables.data-*")]
        if not (variables / "variables.index").is_file() or not shards or f"{len(shards):05}" != shards[0]:
            raise RolloutError(f"{folder} is no whole SavedModel: files are missing in {variables}.")


def publish(source: Path, directory: Path, version: int | None = None) -> Path:
    """Copy a version into a model's folder.

    Args:
        source: The version's folder, complete; it is not changed.
        directory: The model's folder, `models/<name>`; made where missing.
        version: The number to publish it under; by default the source's own, where its name is a number that is
            still free, else the next free one.

    Returns:
        The published folder.

    Raises:
        RolloutError: The source is no SavedModel, the number is taken, or the copy failed. Nothing is left of it.
    """
    check_is_version(source)
    if version is not None and version < 1:
        raise RolloutError(f"A version is a whole number from 1 up, not {version}.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _alone(directory):
            number = _free_number(source, directory, version)
            return _copied(source, directory, number)
    except (OSError, shutil.Error) as error:
        raise RolloutError(
            f"{source} could not be published in {directory}: {error}. Nothing is left of it."
        ) from error


def _free_number(source: Path, directory: Path, version: int | None) -> int:
    taken = {int(child.name) for child in directory.iterdir() if child.name.isdecimal()}
    if version is None:
        own = int(source.resolve().name) if source.resolve().name.isdecimal() else 0
        return own if own and own not in taken else max(taken, default=0) + 1
    if version in taken:
        raise RolloutError(f"Version {version} exists already in {directory}. Name another, or leave it out.")
    return version


def _copied(source: Path, directory: Path, number: int) -> Path:
    draft, place = directory / f"{_DRAFT}{number}", directory / str(number)
    try:
        # Links are followed: what they point to may not be there on the server.
        shutil.copytree(source, draft)
        _flush(draft)
        # Onto a folder with something in it this fails, so that not even another tool's version is replaced.
        os.rename(draft, place)  # noqa: PTH104
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    _flush_folder(directory)
    return place


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait until nobody else publishes here, and clear away what a killed one left."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left in directory.glob(f"{_DRAFT}*"):
            shutil.rmtree(left)
        yield
    finally:
        os.close(handle)


def _flush(folder: Path) -> None:
    """Bring everything to the disk: a rename may survive a power cut that the files' content does not."""
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
