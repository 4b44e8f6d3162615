"""Tables as CSV with a header, read in one way: a mark that stands wrong is an error, not a long value."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def csv_table(path: Path) -> Iterator["csv.DictReader[str]"]:
    """Open a table.

    Args:
        path: CSV in UTF-8, with or without a byte order mark.

    Yields:
        Its reader, to be used within the `with`.

    Raises:
        OSError: It cannot be opened or read.
        UnicodeDecodeError: It is no UTF-8.
        csv.Error: A quotation mark stands wrong; the message names the line where the row begins.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        # Unless strict, a stray quotation mark makes all rows up to the next one part of its value, without a word.
        reader = csv.DictReader(file, strict=True)
        try:
            yield reader
        except csv.Error as error:
            raise csv.Error(
                f"line {reader.line_num + 1}: {error}. Is there a stray quotation mark? A value that begins with one "
                "ends with one, and has those within doubled"
            ) from error
