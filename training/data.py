"""Labelled pictures: read from class folders or from a manifest, and named by what is in them.

Only names, labels and digests are kept; the pictures themselves are read one at a time, whenever they are needed.
"""

import dataclasses
import errno
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from training.errors import DataError
from training.manifest import Row, manifest_rows

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
#: What is wrong with an empty class.
NO_PICTURE = "the class has no picture"
_READERS = 4
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Picture:
    """One labelled picture: a file, or a stretch of a shard (`training.records`).

    Attributes:
        name: The path inside the data folder, with `/`; in shards as the example tells it. Unique in its data.
        path: Where the file, or the shard, lies.
        label: The class's name, as the data gives it.
        digest: SHA-256 of the picture's bytes, in hexadecimal.
        source: Which collection it came from; empty when not told.
        licence: The source's licence; empty when not told.
        span: First byte and number of bytes within the shard; None for a file of its own.
        task: What the label is about; empty when not told.
    """

    name: str
    path: Path
    label: str
    digest: str
    source: str = ""
    licence: str = ""
    span: tuple[int, int] | None = None
    task: str = ""

    @property
    def place(self) -> str:
        """Where the picture is, for messages."""
        return str(self.path) if self.span is None else f"{self.name} in {self.path}"

    def read(self) -> bytes:
        """Read the picture's bytes.

        Raises:
            OSError: The file cannot be read, or the shard is another than the one that was indexed.
        """
        if self.span is None:
            return self.path.read_bytes()
        start, length = self.span
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(length)
        # A shard that was written anew has other bytes here, which might even be another picture's.
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise OSError(f"{self.path} has changed since it was indexed")
        return data


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled pictures, with what could not be read.

    Attributes:
        pictures: In the order of their names.
        problems: A line for each file that was left out, and for each class that came out empty.
        empty: The labels of classes without any picture: an empty class folder, or rows whose files are all missing.
    """

    pictures: tuple[Picture, ...]
    problems: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

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
        return Dataset(kept, self.problems + lost, self.empty)


def read_class_folders(root: Path) -> Dataset:
    """Read a folder that has one folder of pictures for each class; deeper folders belong to their class.

    Args:
        root: The folder of class folders. The folders' names are the labels.

    Returns:
        The data. Links are followed. Files that are no pictures by their suffix are passed over; empty files, those
        whose names are not UTF-8, links that lead back, and class folders without any picture become problems.

    Raises:
        DataError: No such folder, or no pictures in it.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder. Name the folder that holds one folder for each class.")
    folders = [one for one in sorted(root.iterdir()) if one.is_dir() and not one.name.startswith(".")]
    rows, labels, problems = [], [], []
    for folder in folders:
        if _is_utf8(folder.name):
            labels.append(folder.name)
        for path, wrong in _pictures_under(folder, frozenset({_identity(root)})):
            name = path.relative_to(root).as_posix()
            if wrong or not _is_utf8(name):
                problems.append(f"{_shown(name)}: {wrong or 'its name is not UTF-8; rename it'}")
            else:
                rows.append(Row(name, folder.name))
    return _read(root, rows, labels, f"no pictures in class folders under {root}", problems=problems)


def _pictures_under(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[tuple[Path, str]]:
    """The pictures in a folder and, with what is wrong, the folders that cannot be looked into.

    Links to folders are followed, which `Path.rglob` does not do, but not to one of those above.
    """
    try:
        here = _identity(folder)
        if here in above:
            yield folder, "the link leads back to a folder above it"
            return
        inside = [(path, path.is_dir()) for path in sorted(folder.iterdir())]
    except OSError as error:
        yield folder, str(error.strerror)
        return
    for path, is_folder in inside:
        if is_folder:
            yield from _pictures_under(path, above | {here})
        elif path.suffix.lower() in PICTURE_SUFFIXES:
            yield path, ""


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_utf8(name: str) -> bool:
    """Whether a name can be written into a file; Python reads the bytes of others as lone surrogates (PEP 383)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(name: str) -> str:
    """A name for messages, with the bytes that are not UTF-8 in hexadecimal."""
    return os.fsencode(name).decode(errors="backslashreplace")


def read_manifest(manifest: Path, root: Path, *, task: str) -> Dataset:
    """Read the rows of one task from a manifest.

    Args:
        manifest: A CSV or Parquet file, see `manifest.manifest_rows`.
        root: The folder that `file` is relative to.
        task: Which rows to take, for instance `sport`. All are taken where there is no column `task`.

    Returns:
        The data. Rows whose file is missing or empty become problems.

    Raises:
        DataError: No such file, missing columns, a row without a file or a label, one file with two labels, or no
            usable row for the task.
    """
    rows: dict[str, Row] = {}
    tasks: set[str] = set()
    for row in manifest_rows(manifest):
        if row.task is not None:
            tasks.add(row.task)
            if row.task != task:
                continue
        if not (row.file and row.label):
            raise DataError(f"{manifest}, {row.place}: {row.file or 'the row'} has no {row.lacks}.")
        known = rows.setdefault(row.file, row)
        if known.label != row.label:
            raise DataError(
                f"{manifest}, {row.place}: {row.file} is labelled {row.label!r}, but {known.label!r} in "
                f"{known.place}. A picture has one label for a task."
            )
    others = f" (it has {', '.join(map(repr, sorted(tasks)))})" if tasks and not rows else ""
    when_empty = f"no rows of task {task!r} in {manifest}{others} with their files under {root}"
    return _read(root, list(rows.values()), [row.label for row in rows.values()], when_empty, task=task)


def _read(
    root: Path,
    rows: Sequence[Row],
    labels: Iterable[str],
    when_empty: str,
    *,
    task: str = "",
    problems: Sequence[str] = (),
) -> Dataset:
    pictures = []
    problems = list(problems)
    for row, digest in _digests(root, sorted(rows, key=lambda one: one.file)):
        if isinstance(digest, OSError):
            problems.append(f"{row.file}: {digest.strerror}")
        elif not digest:
            problems.append(f"{row.file}: the file is empty")
        else:
            path = root / row.file
            pictures.append(Picture(row.file, path, row.label, digest, row.source, row.licence, task=task))
    if not pictures:
        first = f" (the first problem: {problems[0]})" if problems else ""
        raise DataError(f"There are {when_empty}{first}.")
    empty = sorted(set(labels) - {picture.label for picture in pictures})
    problems += [f"{label}: {NO_PICTURE}" for label in empty]
    return Dataset(tuple(pictures), tuple(problems), tuple(empty))


def _digests(root: Path, rows: Iterable[Row]) -> Iterator[tuple[Row, str | OSError]]:
    """The digest of each row's file, empty for an empty file; read in threads, a stretch of each file at a time."""

    def digest(row: Row) -> str | OSError:
        try:
            with (root / row.file).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
                return found if file.tell() else ""
        except OSError as error:
            return error
        except ValueError:
            return OSError(errno.EINVAL, "no file's name has a NUL character in it")

    remaining = iter(rows)
    with ThreadPoolExecutor(_READERS) as pool:
        while part := list(itertools.islice(remaining, _ROWS_AT_ONCE)):
            yield from zip(part, pool.map(digest, part), strict=True)


def with_digests(pictures: Sequence[Picture]) -> list[Picture]:
    """Give pictures that came from a list without digests, as those of a split file, the digests of their files.

    Args:
        pictures: The pictures. Those out of shards have their digests already.

    Returns:
        The same, with digests.

    Raises:
        DataError: A file cannot be read.
    """
    named = []
    for picture in pictures:
        if picture.span is not None:
            named.append(picture)
            continue
        try:
            with picture.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{picture.path} cannot be read: {error.strerror}.") from error
        named.append(dataclasses.replace(picture, digest=digest))
    return named
