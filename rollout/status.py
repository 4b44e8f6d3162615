"""How versions and labels stand on every server, and whether all say the same."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollout.errors import RolloutError
from rollout.moving import CANARY, PREVIOUS, STABLE
from rollout.targets import Target


@dataclass(frozen=True, slots=True)
class Standing:
    """What one server says of a model.

    Attributes:
        address: The server.
        versions: State of each version that it knows, by number, highest first; with the reason where it failed.
        labels: The version that answers under each label; labels that the server does not have are left out.
        error: Why the server could not be asked; None where it could.
    """

    address: str
    versions: Mapping[int, str]
    labels: Mapping[str, int]
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The same for a JSON document, whose keys are text."""
        return {
            "address": self.address,
            "versions": {str(number): state for number, state in self.versions.items()},
            "labels": dict(self.labels),
            "error": self.error,
        }


async def standings(
    targets: Sequence[Target], model: str, configured: Mapping[str, int] | None
) -> list[Standing]:
    """Ask every server.

    Args:
        targets: The servers.
        model: The model's name.
        configured: The labels of the configuration file, for a server does not tell which it has; None without file.
    """
    labels = sorted({STABLE, CANARY, PREVIOUS, *(configured or {})})
    return list(await asyncio.gather(*(_standing(target, model, labels) for target in targets)))


async def _standing(target: Target, model: str, labels: Sequence[str]) -> Standing:
    try:
        found = await target.versions(model)
        numbers = {label: await target.labelled(model, label) for label in labels}
    except RolloutError as error:
        return Standing(target.address, {}, {}, str(error))
    versions = {
        number: status.state.name + (f": {status.message}" if status.message else "")
        for number, status in sorted(found.items(), reverse=True)
    }
    return Standing(
        target.address, versions, {label: number for label, number in numbers.items() if number is not None}
    )


def differences(found: Sequence[Standing], configured: Mapping[str, int] | None) -> list[str]:
    """What does not fit: servers that are away, that differ from one another, or from the file."""
    problems = [one.error for one in found if one.error]
    answering = [one for one in found if not one.error]
    loaded = {one.address: _loaded(one) for one in answering}
    if len(set(loaded.values())) > 1:
        problems.append(f"The servers have different versions: {_told(loaded)}.")
    wanted = configured if configured is not None else (answering[0].labels if answering else {})
    return problems + [
        f"{one.address} has the labels {_pairs(one.labels)}, not {_pairs(wanted)}."
        for one in answering
        if dict(one.labels) != dict(wanted)
    ]


def table(found: Sequence[Standing]) -> str:
    """Write it for people."""
    lines = []
    for one in found:
        lines.append(one.address + (f"  {one.error}" if one.error else ""))
        for number, state in one.versions.items():
            named = ", ".join(label for label, version in one.labels.items() if version == number)
            lines.append(f"  {number:>8}  {state:<12} {named}".rstrip())
        if not one.versions and not one.error:
            lines.append("  knows no version of this model")
    return "\n".join(lines)


def _loaded(one: Standing) -> tuple[int, ...]:
    return tuple(number for number, state in one.versions.items() if state.startswith("AVAILABLE"))


def _told(loaded: Mapping[str, tuple[int, ...]]) -> str:
    return "; ".join(
        f"{address}: {', '.join(map(str, versions)) or 'none'}" for address, versions in loaded.items()
    )


def _pairs(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{label} = {number}" for label, number in sorted(labels.items())) or "none"
