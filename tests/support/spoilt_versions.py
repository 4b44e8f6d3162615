"""Versions of a sport model that break the contract: in their answers alone, or already in their signature."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tests.support.fake_versions import FakeVersion

Outputs: TypeAlias = dict[str, NDArray[Any]]


def _not_utf8(outputs: Outputs) -> Outputs:
    return outputs | {"class_ids": np.full(outputs["class_ids"].shape, b"\xff\xfe", object)}


def _names_not_utf8(outputs: Outputs) -> Outputs:
    return outputs | {"class_names": np.full(outputs["class_names"].shape, b"caf\xe9", object)}


def _fewer_names(outputs: Outputs) -> Outputs:
    return outputs | {"class_names": outputs["class_names"][:, :-1]}


def _no_numbers(outputs: Outputs) -> Outputs:
    return outputs | {"probabilities": np.full_like(outputs["probabilities"], np.nan)}


def _no_rows(outputs: Outputs) -> Outputs:
    return outputs | {"probabilities": outputs["probabilities"][:0]}


def _no_class_dimension(outputs: Outputs) -> Outputs:
    return outputs | {"probabilities": outputs["probabilities"][:, 0]}


def _one_dimension_more(outputs: Outputs) -> Outputs:
    return outputs | {"class_ids": outputs["class_ids"][..., np.newaxis]}


#: What may be wrong with the answer, by words for it.
SPOILT: Final[Mapping[str, Callable[[Outputs], Outputs]]] = {
    "ids that are not UTF-8": _not_utf8,
    "names that are not UTF-8": _names_not_utf8,
    "fewer names than ids": _fewer_names,
    "probabilities that are no numbers": _no_numbers,
    "no row for the picture": _no_rows,
    "one number for all classes": _no_class_dimension,
    "a list in place of an id": _one_dimension_more,
}


@dataclass(slots=True)
class NumberedVersion(FakeVersion):
    """A version whose ids are numbers, as its signature says too."""

    def outputs(self, images: NDArray[Any]) -> Outputs:
        """The outputs of the model contract, but for the type of one."""
        found = FakeVersion.outputs(self, images)
        return found | {"class_ids": found["class_ids"].astype(np.int64)}


@dataclass(slots=True)
class SpoiltVersion(FakeVersion):
    """A version that answers as `FakeVersion` does, but for what `how`, one of `SPOILT`, does to it."""

    how: str = ""

    def outputs(self, images: NDArray[Any]) -> Outputs:
        """The outputs of the model contract, spoilt."""
        return SPOILT[self.how](FakeVersion.outputs(self, images))


def numbered(version: FakeVersion) -> NumberedVersion:
    """Make one with numbers for ids of a version that is right."""
    return NumberedVersion(version.model, version.version, version.height, version.width, version.classes)


def spoilt(version: FakeVersion, how: str) -> SpoiltVersion:
    """Make a spoilt version of one that is right."""
    return SpoiltVersion(
        version.model, version.version, version.height, version.width, version.classes, how=how
    )
