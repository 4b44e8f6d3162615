"""Publishing a version: a complete folder is renamed into place, never written there bit by bit.

A model server polls the folder, loads whatever number it sees and, after a failed load, does not try that
number again.
"""

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from training.errors import ExportError


def next_version(directory: Path) -> int:
    """The number after the highest version in a model's folder; 1 where there is none."""
    if not directory.is_dir():
        return 1
    taken = [int(child.name) for child in directory.iterdir() if child.name.isdecimal()]
    return max(taken, default=0) + 1


def publish(write: Callable[[Path], None], directory: Path, version: int | None = None) -> Path:
    """Have a version written into a draft folder, then rename it into place.

    Args:
        write: Writes the version's files into the empty folder that it is given. The folder lies beside the
            versions and its name is no number, so no server loads it. When `write` raises, it is removed.
        directory: The model's folder, `models/<name>`; made where missing.
        version: The number to publish; by default the next free one.

    Returns:
        The version's folder, complete.

    Raises:
        ExportError: The asked version exists, or is below 1.
    """
    if version is not None and version < 1:
        raise ExportError(f"A version is a whole number from 1 up, not {version}.")
    if version is not None and (directory / str(version)).exists():
        raise ExportError(f"Version {version} exists already in {directory}. Name another, or leave it out.")
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f".draft-{uuid.uuid4().hex}"
    draft.mkdir()
    try:
        write(draft)
        return _rename_into_place(draft, directory, version)
    finally:
        if draft.exists():
            shutil.rmtree(draft)


def _rename_into_place(draft: Path, directory: Path, version: int | None) -> Path:
    while True:
        place = directory / str(version if version is not None else next_version(directory))
        try:
            # A rename onto a folder with something in it fails, so two exports at once cannot share a number.
            os.rename(draft, place)  # noqa: PTH104
        except OSError as error:
            if version is not None or not place.exists():
                raise ExportError(f"Cannot publish {place}: {error}") from error
        else:
            return place
