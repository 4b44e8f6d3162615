"""A new version beside the one that is running: both see every picture of a folder, and what they say is compared."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agreement import Agreement, Ranking, agreement
from preprocessing import PictureError, decode_picture
from proto_client import ModelServerError
from rollout.classifying import Version
from rollout.errors import RolloutError

TOP: Final = 3
# Asked first and not counted: connections, caches and what the servers put off until they are asked.
_WARM_UP: Final = 3


@dataclass(slots=True)
class Side:
    """What one version did.

    Attributes:
        version: The version.
        seconds: How long each answered picture took; the call alone, without decoding.
        errors: What failed: the picture's name and the reason.
    """

    version: Version
    seconds: list[float] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Comparison:
    """What both did.

    Attributes:
        running: The version in use.
        candidate: The new one.
        agreements: Of each picture that both answered, by its name.
        unreadable: Pictures that could not be decoded, with the reason; neither version saw them.
    """

    running: Side
    candidate: Side
    agreements: dict[str, Agreement] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def find_pictures(folder: Path, limit: int | None) -> list[Path]:
    """List the files under a folder, in the order of their names; those that begin with a dot are left out.

    Args:
        folder: Where they lie, in subfolders too.
        limit: How many at most; spread evenly over all of them. None for all.

    Raises:
        RolloutError: There is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise RolloutError(
            f"{folder} is no folder. Name one with pictures as callers send them (--pictures)."
        )
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise RolloutError(f"{folder} holds no files. Name a folder with pictures (--pictures).")
    if limit is not None and limit < len(found):
        return [found[place * len(found) // limit] for place in range(limit)]
    return found


async def compare(
    running: Version,
    candidate: Version,
    folder: Path,
    *,
    limit: int | None,
    seconds: float,
    say: Callable[[str], None],
) -> Comparison:
    """Show every picture to both versions, one picture at a time, and let each be asked first as often as the other.

    Args:
        running: The version in use.
        candidate: The new one.
        folder: The pictures.
        limit: How many of them at most.
        seconds: The deadline of each call.
        say: Is told how far it is.

    Raises:
        RolloutError: There are no pictures, or none that can be read; or the running version answered none.
    """
    pictures = find_pictures(folder, limit)
    result = Comparison(Side(running), Side(candidate))
    done = 0
    for path in _with_warm_up(pictures):
        name = str(path.relative_to(folder))
        counted = done >= min(_WARM_UP, len(pictures))
        done += 1
        try:
            images = await asyncio.to_thread(_decode, path, (running, candidate))
        except (PictureError, OSError) as error:
            if counted:
                result.unreadable.append((name, str(error)))
            continue
        sides = (result.running, result.candidate)
        # Turn and turn about: whatever else the machine does meets both alike.
        order = (0, 1) if done % 2 else (1, 0)
        rankings: dict[int, Ranking] = {}
        for place in order:
            ranking = await _ask(sides[place], images[place], name, seconds, counted=counted)
            if ranking is not None:
                rankings[place] = ranking
        if counted and len(rankings) == len(sides):
            result.agreements[name] = agreement(rankings[0], rankings[1], top=TOP)
        if done % 100 == 0:
            say(f"{done} of {len(pictures)} pictures …")
    if len(result.unreadable) == len(pictures):
        name, reason = result.unreadable[0]
        raise RolloutError(f"None of the {len(pictures)} files in {folder} can be read; {name}: {reason}")
    if not result.running.seconds:
        name, reason = result.running.errors[0]
        raise RolloutError(
            f"The running version {running.number} answered none of the {len(result.running.errors)} pictures, so "
            f"there is nothing to compare with; {name}: {reason}"
        )
    return result


def _with_warm_up(pictures: list[Path]) -> Iterator[Path]:
    yield from pictures[:_WARM_UP]
    yield from pictures


def _decode(path: Path, versions: tuple[Version, ...]) -> list[NDArray[np.uint8]]:
    content = path.read_bytes()
    sizes = {(version.height, version.width) for version in versions}
    decoded = {
        (height, width): decode_picture(content, height=height, width=width) for height, width in sizes
    }
    return [decoded[version.height, version.width] for version in versions]


async def _ask(
    side: Side, image: NDArray[np.uint8], name: str, seconds: float, *, counted: bool
) -> Ranking | None:
    try:
        ranking, taken = await side.version.rank(image, seconds)
    except ModelServerError as error:
        if counted:
            side.errors.append((name, str(error)))
        return None
    if counted:
        side.seconds.append(taken)
    return ranking
