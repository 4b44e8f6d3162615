"""Which version answers a request: the one that all get, or for some of them the one on trial."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Final, Generic, Literal

from fastapi import BackgroundTasks

from app.classifier import Classification, Outcome, PictureClassifier
from app.deadline import by_deadline
from app.errors import ModelServerFailed, Problem, ServiceUnavailable
from app.metrics.recorder import CanaryMiss, Recorder
from app.rankings import RankedT
from app.served_model import ServedModel, UnusableModelError
from app.shadow import Shadow
from app.shares import Share
from proto_client import InvalidRequest, ModelNotFound, SignatureMismatch

#: What a caller may ask for by the header X-Model-Label. `stable` is what all get: the version under the label that
#: the settings name for the model, or the latest where they name none.
ModelLabel = Literal["stable", "canary"]

# Why the version on trial is not there: no such version, no such label, or one that breaks the contract.
_NOT_THERE: Final = (ModelNotFound, InvalidRequest, SignatureMismatch, UnusableModelError)


class LabelledClassifier(Generic[RankedT]):
    """Classifies pictures with one model, of which two versions may be in use.

    A version on trial must not cost a caller the answer: where it is not there, or fails on the picture, the stable
    version answers, within the same deadline. Not where the model server is away, busy or late: the stable version
    is asked of the very same server.

    Args:
        stable: Asks the version that all get.
        canary: Asks the one on trial.
        share: Of those who do not ask for a label, who gets it.
        shadow: Where else pictures go; None where that is switched off.
        timeout: For one picture, in seconds.
        recorder: Is told who answered.
    """

    def __init__(
        self,
        stable: PictureClassifier[RankedT],
        canary: PictureClassifier[RankedT],
        *,
        share: Share,
        shadow: Shadow[RankedT] | None,
        timeout: float,
        recorder: Recorder,
    ) -> None:
        self._stable = stable
        self._canary = canary
        self._share = share
        self._shadow = shadow
        self._timeout = timeout
        self._recorder = recorder

    @property
    def served(self) -> ServedModel:
        """The version that all get."""
        return self._stable.served

    async def classify_all(
        self, pictures: Sequence[bytes], label: ModelLabel | None = None, *, deadline: float | None = None
    ) -> list[Outcome[RankedT]]:
        """Classify the pictures of a request; the same version answers for all of them.

        Args:
            pictures: The picture files, at least one.
            label: Which version the caller asks for; None leaves it to the shares.
            deadline: When the answer must be there, by `time.perf_counter`; None gives it the usual time.

        Returns:
            See `PictureClassifier.classify_all`.

        Raises:
            app.errors.Problem: See `PictureClassifier.classify_all`.
        """
        if deadline is None:
            deadline = time.perf_counter() + self._timeout
        if label == "canary" or (label is None and self._share.takes_next()):
            tried = await self._try_canary(pictures, deadline)
            if tried is not None:
                return self._answered(tried, "canary")
        return self._answered(await self._stable.classify_all(pictures, deadline=deadline), "stable")

    def shadow_later(self, later: BackgroundTasks, picture: bytes, answer: Classification[RankedT]) -> None:
        """Have a second version see the picture too, if it belongs to the share.

        Args:
            later: What is done after the answer has gone out.
            picture: The picture file.
            answer: What the caller is told.
        """
        # The version on trial is the second one, so there is nothing to compare its own answers with.
        if self._shadow is not None and answer.label == "stable" and self._shadow.wants_next():
            later.add_task(self._shadow.offer, picture, answer)

    def _answered(self, outcomes: list[Outcome[RankedT]], label: ModelLabel) -> list[Outcome[RankedT]]:
        labelled: list[Outcome[RankedT]] = []
        for outcome in outcomes:
            if isinstance(outcome, Problem):
                labelled.append(outcome)
                continue
            self._recorder.answered(model=outcome.model, label=label)
            labelled.append(dataclasses.replace(outcome, label=label))
        return labelled

    async def _try_canary(self, pictures: Sequence[bytes], deadline: float) -> list[Outcome[RankedT]] | None:
        served = self._canary.served
        missed: CanaryMiss = "absent"
        if await self._is_there(deadline):
            try:
                return await self._canary.classify_all(pictures, deadline=deadline)
            except ModelServerFailed:
                missed = "failed"
            except ServiceUnavailable as problem:
                if not isinstance(problem.__cause__, _NOT_THERE):
                    raise
        self._recorder.canary_missed(model=served.name, reason=missed)
        return None

    async def _is_there(self, deadline: float) -> bool:
        try:
            return await by_deadline(self._canary.served.if_there(), deadline) is not None
        except TimeoutError:
            # Too late for the stable version too, which says so.
            return False
