"""Writes a catalogue file."""

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from catalogue.errors import CatalogueError
from catalogue.model import Catalogue, Group, Sport

_OPTIONAL = ("former_ids", "aliases")


def format_catalogue(catalogue: Catalogue) -> str:
    """Return the text of a catalogue file: JSON with one line a group or sport, so that changes read well."""
    return (
        '{\n  "groups": [\n'
        + _lines(catalogue.groups)
        + '\n  ],\n  "sports": [\n'
        + _lines(catalogue.sports)
        + "\n  ]\n}\n"
    )


def _lines(items: Iterable[Group | Sport]) -> str:
    return ",\n".join(f"    {json.dumps(_fields(item), ensure_ascii=False)}" for item in items)


def _fields(item: Group | Sport) -> dict[str, object]:
    return {key: value for key, value in asdict(item).items() if value or key not in _OPTIONAL}


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content in one step: a reader sees the old file or the new one, never a part.

    Args:
        path: The file, which need not exist yet; its folder must.
        text: The new content, written as UTF-8.

    Raises:
        CatalogueError: The file can't be written. It is then as it was.
    """
    try:
        # Follow a link, as open() would; os.replace would put a file in its place.
        target = path.resolve()
        # The permissions that the file has, or else those that a new file gets.
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".new", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).chmod(mode)
            Path(draft).replace(target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CatalogueError(str(path), [f"can't be written: {error.strerror or error}"]) from error
