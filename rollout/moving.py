"""Moving labels: a new version is loaded beside the old one, the label moves, and what no label names is let go.

Each step is one whole configuration that is right by itself, written to the file first and then told to every server:

1. *add*: the new version is served beside those that are there. No caller sees anything.
2. *move*: the label names it; on every server, both versions are loaded meanwhile.
3. *clear*: the versions are those that labels name, and no others.

So whenever the command is killed, the file is one of these, servers agree with it or with the one before, and no
label names a version that is not there. The same command, run again, finishes the work.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import grpc

from proto_client import ModelState, VersionStatus
from rollout.config_file import ConfigFile, specific_versions
from rollout.errors import RolloutError
from rollout.targets import Target

#: What gateways ask for.
STABLE: Final = "stable"
#: What a share of their callers gets.
CANARY: Final = "canary"
#: What "stable" named before its last move; it stays loaded, so that a step back takes a second.
PREVIOUS: Final = "previous"

# How long a failure that was there before may still be shown for a version that is being loaded again.
_STALE_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.2
_RESTORE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Move:
    """What is asked for: the versions that labels are to name, all of them."""

    label: str
    labels: Mapping[str, int]


class Mover:
    """Moves one model's labels.

    Args:
        file: The servers' configuration; the caller holds its lock.
        targets: Every server that reads it. Without any, only the file is written.
        model: The model's name.
        seconds: How long loading may take on the slowest server, and each server to take a configuration.
        say: Is told of each step.
    """

    def __init__(
        self,
        file: ConfigFile,
        targets: Sequence[Target],
        model: str,
        *,
        seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self._file = file
        self._targets = targets
        self._model = model
        self._seconds = seconds
        self._say = say

    async def promote(self, label: str, version: int) -> None:
        """Have a label name a version, once every server has it loaded.

        Raises:
            RolloutError: It could not be done; file and servers are as they were, as far as they can be reached.
        """
        labels = dict(self._file.model(self._model).version_labels)
        if label != STABLE and STABLE not in labels:
            raise RolloutError(
                f"{self._model} has no label {STABLE!r} yet, so what callers get now could not be kept. "
                f"First: promote --label {STABLE} --version with the version that is served now."
            )
        served = await self._served()
        if label == STABLE:
            before = labels.get(STABLE) or max(served - {version}, default=version)
            if before != version:
                labels[PREVIOUS] = before
        labels[label] = version
        await self._run(Move(label, labels), served | {version})

    async def rollback(self, label: str) -> None:
        """Take a label back: `canary` to what `stable` names, `stable` to what it named before.

        With `stable` every other label that names the same version goes back too, so that nobody gets it any more.
        Where `stable` is back already, and versions that no label names are still served, those are let go: a step
        back that ended before it had done so is finished by doing it again.

        Raises:
            RolloutError: There is nothing to go back to, or it could not be done.
        """
        labels = dict(self._file.model(self._model).version_labels)
        bad, back = labels.get(label), labels.get(PREVIOUS if label == STABLE else STABLE)
        if label == STABLE and bad is not None and back is None and (left := await self._unnamed()):
            self._say(f"Nothing to go back to; versions that no label names are let go: {_numbers(left)}.")
            await self._run(Move(label, labels), await self._served())
            return
        if bad is None or back is None:
            raise RolloutError(
                f"{self._model} has no version to take the label {label!r} back to; its labels: "
                f"{_listed(labels)}. Name one: promote --label {label} --version N."
            )
        if label == STABLE:
            del labels[PREVIOUS]
            moved = {name: back if number == bad else number for name, number in labels.items()}
        else:
            moved = labels | {label: back}
        await self._run(Move(label, moved), await self._served() | {back})

    async def _served(self) -> set[int]:
        """The versions that the configuration serves now; where the server chooses, what it has chosen."""
        model = self._file.model(self._model)
        versions = specific_versions(model)
        if versions is not None:
            return versions | set(model.version_labels.values())
        if not self._targets:
            raise RolloutError(
                f"{self._file.path} leaves the choice of {self._model}'s versions to the server, and there is no "
                "server to ask for it: give --target, or write specific versions and labels yourself."
            )
        return await self._loaded()

    async def _unnamed(self) -> set[int]:
        """The versions that no label names, though the file has them served, or a server still has them loaded.

        Empty where the server chooses its versions, and where no server is given: nobody knows then whether servers
        whose label names such a version are still to be replaced.
        """
        model = self._file.model(self._model)
        versions = specific_versions(model)
        if versions is None or not self._targets:
            return set()
        return (versions | await self._loaded()) - set(model.version_labels.values())

    async def _loaded(self) -> set[int]:
        found = await self._all(target.versions(self._model) for target in self._targets)
        return {number for one in found for number, status in one.items() if _available(status)}

    async def _run(self, move: Move, versions: Set[int]) -> None:
        if not self._targets:
            self._write_only(move)
            return
        text, wanted = self._file.text, set(move.labels.values())
        before = dict(self._file.model(self._model).version_labels)
        seen = await self._all(target.versions(self._model) for target in self._targets)
        try:
            self._file.change(self._model, versions, before)
            self._say(f"Serving versions {_numbers(versions)} of {self._model} …")
            await self._tell()
            await self._until_available(wanted, seen)
            self._file.change(self._model, versions, move.labels)
            self._say(f"Moving labels: {_listed(move.labels)} …")
            await self._tell()
            await self._until_labelled(move.labels)
        except (RolloutError, asyncio.CancelledError) as error:
            await self._take_back(text, error)
            raise
        moved = "The labels are moved; versions that none of them names may still be loaded"
        try:
            self._file.change(self._model, wanted, move.labels)
            await self._tell()
        except RolloutError as error:
            raise RolloutError(f"{moved}: {error} Run the same command again.") from error
        except asyncio.CancelledError:
            self._say(f"{moved}. Run the same command again.")
            raise
        self._say(f"Done: {_listed(move.labels)} on {len(self._targets)} model server(s).")

    def _write_only(self, move: Move) -> None:
        """One step, for files that are rolled out by other means, one server after the other (docs/kubernetes.md)."""
        version = move.labels[move.label]
        if move.label == STABLE and version not in (specific_versions(self._file.model(self._model)) or ()):
            raise RolloutError(
                f"Version {version} of {self._model} is not served yet, so while the servers are replaced "
                f"{STABLE!r} would name a version that half of them do not have. First: promote --label {CANARY} "
                f"--version {version}, and roll that out."
            )
        # Servers that are not replaced yet go on to give the label its old version, and gateways then ask all for
        # that one. Nothing else that is let go here had a label that gateways ask for.
        old = self._file.model(self._model).version_labels.get(move.label)
        named = set(move.labels.values())
        self._file.change(self._model, named if old is None else named | {old}, move.labels)
        self._say(f"Written, and nobody told: {_listed(move.labels)}; roll {self._file.path.name} out now.")
        if old is not None and old not in named:
            self._say(
                f"Version {old} stays, for servers that still name it; once all are replaced, promote "
                f"--label {move.label} --version {version} lets it go."
            )

    async def _tell(self) -> None:
        await self._all(target.tell(self._file.config, self._seconds) for target in self._targets)

    async def _until_available(self, versions: Set[int], seen: Sequence[Mapping[int, VersionStatus]]) -> None:
        began = time.monotonic()
        while True:
            found = await self._all(target.versions(self._model) for target in self._targets)
            waiting = []
            for target, before, now in zip(self._targets, seen, found, strict=True):
                for number in sorted(versions):
                    status = now.get(number)
                    if _available(status):
                        continue
                    waiting.append(f"version {number} on {target.address} is {_described(status)}")
                    stale = before.get(number) == status and time.monotonic() - began < _STALE_SECONDS
                    if status is not None and _failed(status) and not stale:
                        raise RolloutError(
                            f"{target.address} cannot load version {number} of {self._model}: {status.message} "
                            "A server does not try the same number again: publish it under another one."
                        )
            if not waiting:
                return
            await self._pause(began, "; ".join(waiting))

    async def _until_labelled(self, labels: Mapping[str, int]) -> None:
        began = time.monotonic()
        while True:
            questions = [(target, label) for target in self._targets for label in labels]
            answers = await self._all(target.labelled(self._model, label) for target, label in questions)
            wrong = [
                f"{label} is {'not there' if number is None else f'version {number}'} on {target.address}"
                for (target, label), number in zip(questions, answers, strict=True)
                if number != labels[label]
            ]
            if not wrong:
                return
            await self._pause(began, "; ".join(wrong))

    async def _pause(self, began: float, waiting: str) -> None:
        if time.monotonic() - began > self._seconds:
            raise RolloutError(f"Not done within {self._seconds:g} s: {waiting}.")
        await asyncio.sleep(_POLL_SECONDS)

    async def _take_back(self, text: str, error: BaseException) -> None:
        self._say(f"Taking it back: {error or 'stopped'}")
        self._file.restore(text)
        told = await asyncio.gather(
            *(target.tell(self._file.config, _RESTORE_SECONDS) for target in self._targets),
            return_exceptions=True,
        )
        for one in told:
            if isinstance(one, RolloutError):
                self._say(f"Not told of it: {one} The file has the old state, for its next start.")

    @staticmethod
    async def _all(questions: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
        """Ask all at the same time, and wait for all, whatever one of them says."""
        answers = await asyncio.gather(*questions, return_exceptions=True)
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        for answer in failed:
            if not isinstance(answer, RolloutError):
                raise answer
        if failed:
            raise RolloutError(" ".join(map(str, failed)))
        return answers


def _available(status: VersionStatus | None) -> bool:
    return status is not None and status.state is ModelState.AVAILABLE


def _failed(status: VersionStatus) -> bool:
    return status.state is ModelState.END and status.code is not grpc.StatusCode.OK


def _described(status: VersionStatus | None) -> str:
    if status is None:
        return "not there: is its folder complete, and in the model's base path?"
    return status.state.name + (f" ({status.message})" if status.message else "")


def _listed(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{label} = {number}" for label, number in sorted(labels.items())) or "none"


def _numbers(versions: Set[int]) -> str:
    return ", ".join(map(str, sorted(versions)))
