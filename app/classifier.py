"""From the bytes of a picture to the model's ranking: the path that every picture endpoint shares."""

import time
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from app.decoding import DecodePool
from app.errors import DeadlineExceeded, ModelServerFailed, ServiceUnavailable
from app.metrics.recorder import Recorder
from app.rankings import AnswerForm, RankedT
from app.served_model import INPUT, SIGNATURE, LiveVersion, ServedModel
from app.tracing.tracing import Tracing
from proto_client import (
    DeadlineExceeded as ModelDeadlineExceeded,
)
from proto_client import (
    ModelNotFound,
    ModelServerBusy,
    ModelServerClient,
    ModelServerError,
    ModelServerUnavailable,
    Prediction,
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
    """

    ranking: tuple[RankedT, ...]
    model: str
    version: int
    timings: Timings
    image: NDArray[np.uint8]


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
        if deadline is None:
            deadline = time.perf_counter() + self._timeout
        queue = decode = inference = 0.0
        live = await self.served.live()
        gone: ModelNotFound | None = None
        for _ in range(_LOOKS):
            with self._tracing.stage("decode", self.served.name):
                decoded = await self._pool.decode(picture, height=live.height, width=live.width)
            queue += decoded.queue_seconds
            decode += decoded.decode_seconds
            self._recorder.stage("queue", self.served.name, decoded.queue_seconds)
            self._recorder.stage("decode", self.served.name, decoded.decode_seconds)
            started = time.perf_counter()
            try:
                with self._tracing.stage("inference", self.served.name):
                    prediction = await self._predict(decoded.image[np.newaxis], live, deadline - started)
            except ModelNotFound as error:
                gone = error
                live = await self.served.refresh()
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
        if seconds_left <= 0:
            raise self._too_late()
        try:
            return await self._client.predict(
                {INPUT: images},
                model=self.served.name,
                version=live.version,
                signature=SIGNATURE,
                output_filter=self._form.outputs,
                timeout=seconds_left,
            )
        except ModelNotFound:
            raise
        except ModelDeadlineExceeded as error:
            raise self._too_late() from error
        except (ModelServerUnavailable, ModelServerBusy) as error:
            raise ServiceUnavailable(
                f"The model server is away or busy ({error.code.name}). Send the picture again a little later.",
                retry_after=self._retry_after,
            ) from error
        except ModelServerError as error:
            raise ModelServerFailed(
                f"The model server could not classify the picture: {error.message} ({error.code.name})."
            ) from error

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"No answer came within {self._timeout:g} seconds. Send the picture again; if this stays, the service "
            "has more to do than it can."
        )
