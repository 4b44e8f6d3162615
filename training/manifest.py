"""The rows of a manifest, CSV or Parquet, one after the other."""

import csv
import importlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import DataError
from training.tables import csv_table

_NEEDED = ("file", "label")
_COLUMNS = (*_NEEDED, "task", "source", "licence", "group")
_PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
# The first four bytes, and the last, of a Parquet file (parquet.apache.org, "File Format").
_PARQUET_MAGIC = b"PAR1"
_ROWS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a manifest; what it does not tell is empty.

    Attributes:
        file: The path inside the data folder, with `/`.
        label: The class's name.
        task: What the label is about; None where there is no such column.
        source: Which collection the picture came from.
        licence: The source's licence.
        group: The sports group of a product.
        place: Where the row is, for messages.
    """

    file: str
    label: str
    task: str | None = None
    source: str = ""
    licence: str = ""
    group: str = ""
    place: str = ""

    @property
    def lacks(self) -> str:
        """The first needed column that is empty here."""
        return next((name for name in _NEEDED if not getattr(self, name)), "")


def manifest_rows(manifest: Path) -> Iterator[Row]:
    """Read a manifest.

    Args:
        manifest: A Parquet file, told by its first bytes or its suffix, or else CSV in UTF-8, with a header. Needed
            columns: `file`, `label`; used if there: `task`, `source`, `licence`.

    Yields:
        Its rows, in their order; a CSV line by line, Parquet a few thousand rows at a time.

    Raises:
        DataError: It cannot be read, lacks a needed column, or is Parquet and holds other values than text and whole
            numbers, or pyarrow is not installed.
    """
    try:
        with manifest.open("rb") as file:
            magic = file.read(len(_PARQUET_MAGIC))
        parquet = magic == _PARQUET_MAGIC or manifest.suffix.lower() in _PARQUET_SUFFIXES
        yield from _parquet_rows(manifest) if parquet else _csv_rows(manifest)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The manifest {manifest} cannot be read: {error}") from error


def _csv_rows(manifest: Path) -> Iterator[Row]:
    with csv_table(manifest) as reader:
        _check_columns(manifest, reader.fieldnames or ())
        for row in reader:
            yield _row(manifest, row, f"line {reader.line_num}")


def _parquet_rows(manifest: Path) -> Iterator[Row]:
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DataError(
            f"{manifest} is Parquet, and reading that needs the package pyarrow: install it "
            "(`pip install pyarrow`), or give the manifest as CSV."
        ) from error
    try:
        with parquet.ParquetFile(manifest) as file:
            names = file.schema_arrow.names
            _check_columns(manifest, names)
            wanted = [name for name in _COLUMNS if name in names]
            number = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    yield _row(manifest, row, f"row {number}")
    except arrow.ArrowException as error:
        raise DataError(f"The manifest {manifest} is no Parquet file, or a damaged one: {error}") from error


def _check_columns(manifest: Path, names: Any) -> None:
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise DataError(
            f"{manifest} has no column {', '.join(missing)}. It needs file and label; task, source and licence are "
            f"used if they are there. Found: {', '.join(names) or 'nothing'}."
        )


def _row(manifest: Path, values: Mapping[str, Any], place: str) -> Row:
    told = {}
    for name in _COLUMNS:
        if name in values:
            text = _text(values[name])
            if text is None:
                raise DataError(
                    f"{manifest}, {place}: its {name} is {values[name]!r:.60}. Give text in UTF-8, or a whole number."
                )
            told[name] = text
    return Row(**told, place=place)


def _text(value: Any) -> str | None:
    """A value as CSV would have it, empty where it is missing; None where that is not to be said."""
    if isinstance(value, float) and (value.is_integer() or math.isnan(value)):
        # As pandas keeps a column of whole numbers, or of text, in which some are missing.
        value = None if math.isnan(value) else int(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    if value is None:
        return ""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
