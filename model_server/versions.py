"""Which versions of a model the file system holds, and which of them a policy asks for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_VERSION: Final = re.compile(r"\d{1,19}", re.ASCII)
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True)
class VersionPolicy:
    """The choice of versions to serve.

    Attributes:
        latest: How many of the highest version numbers, when neither of the others is set.
        all: Every version.
        specific: Exactly these, as far as they exist; None for one of the other kinds.
    """

    latest: int = 1
    all: bool = False
    specific: frozenset[int] | None = field(default=None)

    def choose(self, found: Iterable[int]) -> set[int]:
        """Picks the versions to serve among those found."""
        if self.all:
            return set(found)
        if self.specific is not None:
            return set(found) & self.specific
        return set(sorted(found)[-self.latest :])


def policy_from_proto(proto: Any) -> VersionPolicy:
    """Reads a ``ServableVersionPolicy``; an unset one means the latest version only."""
    choice = proto.WhichOneof("policy_choice")
    if choice == "all":
        return VersionPolicy(all=True)
    if choice == "specific":
        return VersionPolicy(specific=frozenset(proto.specific.versions))
    return VersionPolicy(latest=max(proto.latest.num_versions, 1))


def find_versions(base_path: Path) -> dict[int, Path]:
    """Lists the version directories under a base path.

    A child counts when its name is a decimal number, whatever it holds: a version that is not a SavedModel fails
    when it is loaded, where the failure can be seen.

    Args:
        base_path: The model's directory.

    Returns:
        Path of each version number.

    Raises:
        OSError: The base path is missing or cannot be read.
    """
    found: dict[int, Path] = {}
    for child in sorted(base_path.iterdir()):
        if _VERSION.fullmatch(child.name) and int(child.name) <= _LARGEST:
            found[int(child.name)] = child
    return found
