"""Whether every class can be trained, and where it can be measured: which parts its pictures are in."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

_NAMED = 8


def check_coverage(
    names: Sequence[str], classes: NDArray[np.int64], parts: Mapping[str, NDArray[np.int64]]
) -> list[str]:
    """See that every class has a picture to be trained on, and tell which cannot be measured.

    Args:
        names: The name of each class.
        classes: int64 [pictures].
        parts: The positions of each part's pictures, `train` among them; a part may be empty by intent.

    Returns:
        A line for each other part that lacks classes.

    Raises:
        DataError: A class has pictures, but none in the training part.
    """
    counts = {
        part: np.bincount(classes[positions], minlength=len(names)) for part, positions in parts.items()
    }
    everywhere = np.bincount(classes, minlength=len(names))
    untrained = [
        name
        for name, all_of, own in zip(names, everywhere, counts["train"], strict=True)
        if all_of > own == 0
    ]
    if untrained:
        raise DataError(
            f"No picture is in the training part of {_few(untrained)}: it could only be answered wrongly. Move "
            "pictures of it there, or leave the class out."
        )
    lines = []
    for part, own in counts.items():
        missing = [
            f"{name} ({all_of})"
            for name, all_of, here in zip(names, everywhere, own, strict=True)
            if all_of > here == 0
        ]
        if missing and own.any():
            lines.append(
                f"not measured in the {part} part, where they have no picture: {_few(missing)}. In brackets all that "
                "they have; a class needs three pictures unlike each other to be in every part."
            )
    return lines


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
