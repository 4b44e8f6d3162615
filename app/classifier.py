"""From the bytes of a picture to the model's ranking: the path that every picture endpoint shares."""

import math
import time
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from app.deadline import HEADER, by_deadline
from app.decoding import DecodePool
from app.errors import DeadlineExceeded, ModelServerFailed, ServiceUnavailable
from app.metrics.recorder import Recorder
from app.rankings import AnswerForm, RankedT
from app.served_model import INPUT, SIGNATURE, LiveVersion, ServedModel
from app.tracing.tracing import Tracing
from proto_client import (
    CircuitOpen,
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
class Timings:
    """Where a picture's time went, in seconds."""

    queue: float
    decode: float
    inference: float


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
        begun = time.perf_counter()
        if deadline is None:
            deadline = begun + self._timeout
        try:
            return await self._classify(picture, deadline)
        except (TimeoutError, ModelDeadlineExceeded) as error:
            raise DeadlineExceeded(
                f"No answer came within {max(0.0, deadline - begun):.3g} seconds of the upload's end. Send the "
                f"picture again, with more time if you set {HEADER}; if this stays, the service has more to do than "
                "it can."
            ) from error

    async def _classify(self, picture: bytes, deadline: float) -> Classification[RankedT]:
        """Do what `classify` does.

        Raises:
            TimeoutError: The deadline passed before the model was asked.
            ModelDeadlineExceeded: The deadline passed before the model answered.
        """
        queue = decode = inference = 0.0
        live = await by_deadline(self.served.live(), deadline)
        gone: ModelNotFound | SignatureMismatch | None = None
        for _ in range(_LOOKS):
            with self._tracing.stage("decode", self.served.name):
                # The thread that decodes cannot be stopped, but nobody waits for it; what still queues is dropped.
                decoded = await by_deadline(
                    self._pool.decode(picture, height=live.height, width=live.width), deadline
                )
            queue += decoded.queue_seconds
            decode += decoded.decode_seconds
            self._recorder.stage("queue", self.served.name, decoded.queue_seconds)
            self._recorder.stage("decode", self.served.name, decoded.decode_seconds)
            started = time.perf_counter()
            try:
                with self._tracing.stage("inference", self.served.name):
                    prediction = await self._predict(decoded.image[np.newaxis], live, deadline - started)
            except (ModelNotFound, SignatureMismatch) as error:
                # Another version is live, or the same number has another input since the server was started anew.
                gone = error
                live = await by_deadline(self.served.refresh(), deadline)
                continue
            finally:
                taken = time.perf_counter() - started
                inference += taken
                self._recorder.stage("inference", self.served.name, taken)
            ranking = self._form.read({name: rows[0] for name, rows in prediction.outputs.items()})
            return Classification(
                ranking,
                self.served.name,
                prediction.version,
                Timings(queue, decode, inference),
                decoded.image,
            )
        raise ServiceUnavailable(
            f"The versions of {self.served.name} changed faster than the picture could be classified. "
            "Send it again.",
            retry_after=self._retry_after,
        ) from gone

    async def _predict(self, images: np.ndarray, live: LiveVersion, seconds_left: float) -> Prediction:
        try:
            return await self._client.predict(
                {INPUT: images},
                model=self.served.name,
                version=live.version,
                signature=SIGNATURE,
                output_filter=self._form.outputs,
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
