"""How versions and labels stand on every server, and whether all say the same."""

import asyncio
from collections.abc import Mapping, Sequence, Set
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


@dataclass(frozen=True, slots=True)
class Configured:
    """What the configuration file says of a model.

    Attributes:
        versions: Those that are to be loaded; None where the file leaves the choice to the servers.
        labels: The version under each label.
    """

    versions: Set[int] | None
    labels: Mapping[str, int]


async def standings(targets: Sequence[Target], model: str, configured: Configured | None) -> list[Standing]:
    """Ask every server.

    Args:
        targets: The servers.
        model: The model's name.
        configured: What the file says, for a server does not tell which labels it has; None without file.
    """
    labels = sorted({STABLE, CANARY, PREVIOUS, *(configured.labels if configured else ())})
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


def differences(found: Sequence[Standing], model: str, configured: Configured | None) -> list[str]:
    """What does not fit: servers that are away, do not know the model, or differ from one another or from the file.

    Args:
        found: What the servers said.
        model: The model's name.
        configured: What the file says; None without file. The first server's labels are then the measure.
    """
    problems = [one.error for one in found if one.error]
    problems += [
        f"{one.address} knows no version of {model}." for one in found if not one.error and not one.versions
    ]
    knowing = [one for one in found if one.versions]
    loaded = {one.address: _loaded(one) for one in knowing}
    if len(set(loaded.values())) > 1:
        told = "; ".join(f"{address}: {_numbers(versions)}" for address, versions in loaded.items())
        problems.append(f"The servers have different versions: {told}.")
    if configured is not None and configured.versions is not None:
        wanted_versions = _numbers(configured.versions)
        problems += [
            f"{address} has the versions {_numbers(versions)} loaded, not {wanted_versions} as the file says."
            for address, versions in loaded.items()
            if versions != configured.versions
        ]
    wanted = configured.labels if configured is not None else (knowing[0].labels if knowing else {})
    return problems + [
        f"{one.address} has the labels {_pairs(one.labels)}, not {_pairs(wanted)}."
        for one in knowing
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


def _loaded(one: Standing) -> frozenset[int]:
    return frozenset(number for number, state in one.versions.items() if state.startswith("AVAILABLE"))


def _numbers(versions: Set[int]) -> str:
    return ", ".join(map(str, sorted(versions))) or "none"


def _pairs(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{label} = {number}" for label, number in sorted(labels.items())) or "none"
