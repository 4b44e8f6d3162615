"""From the bytes of a picture to the model's ranking: the path that every picture endpoint shares."""

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.deadline import HEADER, by_deadline
from app.decoding import Decoded, DecodePool, together
from app.errors import DeadlineExceeded, ModelServerFailed, Problem, ServiceUnavailable
from app.metrics.recorder import Recorder
from app.rankings import AnswerForm, RankedT
from app.served_model import INPUT, SIGNATURE, LiveVersion, ServedModel
from app.timings import Spent, Timings
from app.tracing.tracing import Tracing
from proto_client import (
    CircuitOpen,
    InvalidReply,
    ModelNotFound,
    ModelServerBusy,
    ModelServerClient,
    ModelServerError,
    ModelServerUnavailable,
    Prediction,
    SignatureMismatch,
)
from proto_client import (
    DeadlineExceeded as ModelDeadlineExceeded,
)

# A swap of versions costs one second look; two swaps within one picture are beyond what a server does.
_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Classification(Generic[RankedT]):
    """A model's answer.

    Attributes:
        ranking: What is likeliest, highest first; as many as the model gives.
        model: The model's name.
        version: The number of the version that answered.
        timings: Where the time went; the sums, where a swap of versions made it start anew.
        image: What the version was shown: uint8 [height, width, 3], RGB.
        label: Under which label the version was asked.
    """

    ranking: tuple[RankedT, ...]
    model: str
    version: int
    timings: Timings
    image: NDArray[np.uint8]
    label: str = "stable"


#: What came of one picture among several.
Outcome: TypeAlias = Classification[RankedT] | Problem


class PictureClassifier(Generic[RankedT]):
    """Classifies pictures with one served model.

    Attributes:
        served: The model.
    """

    def __init__(
        self,
        client: ModelServerClient,
        served: ServedModel,
        form: AnswerForm[RankedT],
        pool: DecodePool,
        *,
        timeout: float,
        retry_after: int,
        recorder: Recorder,
        tracing: Tracing,
    ) -> None:
        self._client = client
        self.served = served
        self._form = form
        self._pool = pool
        self._timeout = timeout
        self._retry_after = retry_after
        self._recorder = recorder
        self._tracing = tracing

    async def classify(self, picture: bytes, *, deadline: float | None = None) -> Classification[RankedT]:
        """Decode a picture to the live version's input size and ask that very version.

        Where the version was unloaded in between, the picture goes to the one that is live then.

        Args:
            picture: The picture file.
            deadline: When the answer must be there, by `time.perf_counter`; None gives it the usual time.

        Raises:
            app.errors.Problem: The picture cannot be read, or no answer came; each kind is a subclass of its own.
                The cause of one is `ModelNotFound` where the version is gone.
        """
        (outcome,) = await self.classify_all((picture,), deadline=deadline)
        if isinstance(outcome, Problem):
            raise outcome
        return outcome

    async def classify_all(
        self, pictures: Sequence[bytes], *, deadline: float | None = None
    ) -> list[Outcome[RankedT]]:
        """Do the same with several pictures, which go to the model in one call.

        Args:
            pictures: The picture files, at least one.
            deadline: As for `classify`, of all of them.

        Returns:
            For each picture, in order, what the model says; or the problem, where the picture cannot be read.

        Raises:
            app.errors.Problem: No answer came for any.
        """
        begun = time.perf_counter()
        if deadline is None:
            deadline = begun + self._timeout
        try:
            return await self._classify(pictures, deadline)
        except (TimeoutError, ModelDeadlineExceeded) as error:
            raise DeadlineExceeded(
                f"No answer came within {max(0.0, deadline - begun):.3g} seconds of the upload's end. Send the "
                f"picture again, with more time if you set {HEADER}; if this stays, the service has more to do than "
                "it can."
            ) from error

    async def _classify(self, pictures: Sequence[bytes], deadline: float) -> list[Outcome[RankedT]]:
        """Do what `classify_all` does.

        Raises:
            TimeoutError: The deadline passed before the model was asked.
            ModelDeadlineExceeded: The deadline passed before the model answered.
        """
        spent = Spent(len(pictures))
        live = await by_deadline(self.served.live(), deadline)
        gone: ModelNotFound | SignatureMismatch | None = None
        for _ in range(_LOOKS):
            with self._tracing.stage("decode", self.served.name):
                # The thread that decodes cannot be stopped, but nobody waits for it; what still queues is dropped.
                found = await by_deadline(self._pool.decode_all(pictures, live.height, live.width), deadline)
            readable = [one for one in found if not isinstance(one, Problem)]
            for number, one in enumerate(found):
                if not isinstance(one, Problem):
                    spent.decoded(number, one)
                    self._recorder.stage("queue", self.served.name, one.queue_seconds)
                    self._recorder.stage("decode", self.served.name, one.decode_seconds)
            if not readable:
                return [one for one in found if isinstance(one, Problem)]
            started = time.perf_counter()
            try:
                with self._tracing.stage("inference", self.served.name):
                    prediction = await self._predict(together(readable), live, deadline - started)
            except (ModelNotFound, SignatureMismatch) as error:
                # Another version is live, or the same number has another input since the server was started anew.
                gone = error
                live = await by_deadline(self.served.refresh(), deadline)
                continue
            finally:
                taken = time.perf_counter() - started
                spent.inference += taken
                self._recorder.stage("inference", self.served.name, taken)
            rows = itertools.count()
            return [
                one
                if isinstance(one, Problem)
                else self._read(prediction, next(rows), one, spent.timings(number))
                for number, one in enumerate(found)
            ]
        raise ServiceUnavailable(
            f"The versions of {self.served.name} changed faster than the picture could be classified. "
            "Send it again.",
            retry_after=self._retry_after,
        ) from gone

    def _read(
        self, prediction: Prediction, row: int, decoded: Decoded, timings: Timings
    ) -> Classification[RankedT]:
        try:
            ranking = self._form.ranking(prediction.outputs, row)
        except InvalidReply as error:
            raise ModelServerFailed(
                f"The model server could not classify the picture with version {prediction.version}: {error.message}"
            ) from error
        return Classification(ranking, self.served.name, prediction.version, timings, decoded.image)

    async def _predict(self, images: np.ndarray, live: LiveVersion, seconds_left: float) -> Prediction:
        try:
            return await self._client.predict(
                {INPUT: images},
                model=self.served.name,
                version=live.version,
                signature=SIGNATURE,
                output_filter=tuple(self._form.outputs),
                timeout=seconds_left,
            )
        except (ModelNotFound, ModelDeadlineExceeded):
            raise
        except CircuitOpen as error:
            raise ServiceUnavailable(
                "The model server has not been answering, so nothing is sent to it for the moment. Send the picture "
                "again a little later.",
                retry_after=max(self._retry_after, math.ceil(error.retry_in)),
            ) from error
        except (ModelServerUnavailable, ModelServerBusy) as error:
            raise ServiceUnavailable(
                f"The model server is away or busy ({error.code.name}). Send the picture again a little later.",
                retry_after=self._retry_after,
            ) from error
        except ModelServerError as error:
            raise ModelServerFailed(
                f"The model server could not classify the picture: {error.message} ({error.code.name})."
            ) from error
