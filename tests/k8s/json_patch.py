"""JSON Patch (RFC 6902), as far as our patches go: add, replace, remove and test."""

import copy
from typing import Any


class PatchError(ValueError):
    """An operation does not fit what it is applied to."""


def patched(document: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a copy of a document with the operations applied.

    Args:
        document: JSON as Python objects.
        operations: `{"op", "path", "value"}` each.

    Raises:
        PatchError: A path is not there, a test fails, or the operation is another one.
    """
    result = copy.deepcopy(document)
    for operation in operations:
        _apply(result, operation)
    return result


def _apply(document: Any, operation: dict[str, Any]) -> None:
    *parents, last = [
        part.replace("~1", "/").replace("~0", "~") for part in operation["path"].removeprefix("/").split("/")
    ]
    try:
        for part in parents:
            document = document[int(part)] if isinstance(document, list) else document[part]
        key: Any = int(last) if isinstance(document, list) and last != "-" else last
        _change(document, key, operation)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise PatchError(f"{operation['op']} {operation['path']} does not fit: {error!r}") from error


def _change(document: Any, key: Any, operation: dict[str, Any]) -> None:
    value = copy.deepcopy(operation.get("value"))
    match operation["op"]:
        case "add" if isinstance(document, list):
            document.insert(len(document) if key == "-" else key, value)
        case "add":
            document[key] = value
        case "replace":
            document[key]  # it must be there
            document[key] = value
        case "remove":
            del document[key]
        case "test":
            if document[key] != value:
                raise ValueError(f"it is {document[key]!r}, not {value!r}")
        case other:
            raise ValueError(f"unknown operation {other}")
