"""Labelled pictures: read from class folders or from a manifest, and named by what is in the files."""

import csv
import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.errors import DataError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
_NEEDED_COLUMNS = ("file", "label", "task")


@dataclass(frozen=True, slots=True)
class Picture:
    """One labelled picture file.

    Attributes:
        name: The path inside the data folder, with `/`.
        path: Where the file lies.
        label: The class's name, as the data gives it.
        digest: SHA-256 of the file's bytes, in hexadecimal.
        source: Which collection it came from; empty when not told.
        licence: The source's licence; empty when not told.
    """

    name: str
    path: Path
    label: str
    digest: str
    source: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled pictures, with what could not be read.

    Attributes:
        pictures: In the order of their names.
        problems: A line for each file that was left out.
    """

    pictures: tuple[Picture, ...]
    problems: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct labels, sorted."""
        return tuple(sorted({picture.label for picture in self.pictures}))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names, labels and contents: equal when, and only when, the data are the same."""
        whole = hashlib.sha256()
        for picture in self.pictures:
            whole.update(f"{picture.name}\0{picture.label}\0{picture.digest}\n".encode())
        return whole.hexdigest()

    def without(self, unreadable: dict[str, str]) -> "Dataset":
        """The data less some pictures.

        Args:
            unreadable: What is wrong, by the digest of the picture.

        Returns:
            A new dataset whose problems name the pictures left out.
        """
        kept = tuple(picture for picture in self.pictures if picture.digest not in unreadable)
        lost = tuple(
            f"{picture.name}: {unreadable[picture.digest]}"
            for picture in self.pictures
            if picture.digest in unreadable
        )
        return Dataset(kept, self.problems + lost)


def read_class_folders(root: Path) -> Dataset:
    """Read a folder that has one folder of pictures for each class; deeper folders belong to their class.

    Args:
        root: The folder of class folders. The folders' names are the labels.

    Returns:
        The data. Files that are no pictures by their suffix are passed over; empty files become problems.

    Raises:
        DataError: No such folder, or no pictures in it.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder. Name the folder that holds one folder for each class.")
    rows = [
        (str(path.relative_to(root).as_posix()), folder.name, "", "")
        for folder in sorted(root.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in PICTURE_SUFFIXES
    ]
    return _read(root, rows, f"no pictures in class folders under {root}")


def read_manifest(manifest: Path, root: Path, *, task: str) -> Dataset:
    """Read the rows of one task from a manifest.

    Args:
        manifest: A CSV file with the columns `file`, `label`, `task` and, if known, `source` and `licence`.
        root: The folder that `file` is relative to.
        task: Which rows to take, for instance `sport`.

    Returns:
        The data. Rows whose file is missing or empty become problems.

    Raises:
        DataError: No such file, missing columns, a row without a label, or no usable row for the task.
    """
    try:
        with manifest.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _NEEDED_COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{manifest} has no column {', '.join(missing)}. It needs file, label and task."
                )
            rows = []
            for row in reader:
                if row["task"] != task:
                    continue
                if not row["label"]:
                    raise DataError(f"{manifest}, line {reader.line_num}: {row['file']} has no label.")
                rows.append((row["file"], row["label"], row.get("source") or "", row.get("licence") or ""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The manifest {manifest} cannot be read: {error}") from error
    return _read(root, rows, f"no rows of task {task!r} in {manifest} with their files under {root}")


def _read(root: Path, rows: Sequence[tuple[str, str, str, str]], when_empty: str) -> Dataset:
    pictures = []
    problems = []
    for name, label, source, licence in sorted(set(rows)):
        path = root / name
        try:
            data = path.read_bytes()
        except OSError as error:
            problems.append(f"{name}: {error.strerror}")
            continue
        if not data:
            problems.append(f"{name}: the file is empty")
            continue
        pictures.append(Picture(name, path, label, hashlib.sha256(data).hexdigest(), source, licence))
    if not pictures:
        first = f" (the first problem: {problems[0]})" if problems else ""
        raise DataError(f"There are {when_empty}{first}.")
    return Dataset(tuple(pictures), tuple(problems))


def with_digests(pictures: Sequence[Picture]) -> list[Picture]:
    """Give pictures that came from a list without digests, as those of a split file, the digests of their files.

    Args:
        pictures: The pictures.

    Returns:
        The same, with digests.

    Raises:
        DataError: A file cannot be read.
    """
    named = []
    for picture in pictures:
        try:
            data = picture.path.read_bytes()
        except OSError as error:
            raise DataError(f"{picture.path} cannot be read: {error.strerror}.") from error
        named.append(dataclasses.replace(picture, digest=hashlib.sha256(data).hexdigest()))
    return named
