"""Lists in environment variables."""

import json
from typing import Final

from pydantic import BeforeValidator


def read_list(text: str) -> list[str]:
    """Read a list from an environment variable: JSON, or words separated by commas.

    Raises:
        ValueError: It begins as JSON does, and is none.
    """
    if text.startswith("["):
        return [str(word) for word in json.loads(text)]
    return [word.strip() for word in text.split(",") if word.strip()]


def _list(value: object) -> object:
    return read_list(value) if isinstance(value, str) else value


#: Beside `NoDecode`, in the annotation of a setting that is a list.
AS_LIST: Final = BeforeValidator(_list)
