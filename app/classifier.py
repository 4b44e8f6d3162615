"""From the bytes of a picture to the model's ranking of classes: the path that every picture endpoint shares."""

import time
from dataclasses import dataclass

import numpy as np

from app.decoding import DecodePool
from app.errors import DeadlineExceeded, ModelServerFailed, ServiceUnavailable
from app.served_model import INPUT, OUTPUTS, SIGNATURE, LiveVersion, ServedModel
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
class RankedClass:
    """One class of the model with its probability, as the version that answered named it."""

    id: str
    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a picture's time went, in seconds."""

    queue: float
    decode: float
    inference: float


@dataclass(frozen=True, slots=True)
class Classification:
    """A model's answer.

    Attributes:
        ranking: The likeliest classes, highest first; as many as the model gives.
        model: The model's name.
        version: The number of the version that answered.
        timings: Where the time went; the sums, where a swap of versions made it start anew.
    """

    ranking: tuple[RankedClass, ...]
    model: str
    version: int
    timings: Timings


class PictureClassifier:
    """Classifies pictures with one served model."""

    def __init__(
        self,
        client: ModelServerClient,
        served: ServedModel,
        pool: DecodePool,
        *,
        timeout: float,
        retry_after: int,
    ) -> None:
        self._client = client
        self._served = served
        self._pool = pool
        self._timeout = timeout
        self._retry_after = retry_after

    async def classify(self, picture: bytes) -> Classification:
        """Decode a picture to the live version's input size and ask that very version.

        Where the version was unloaded in between, the picture goes to the one that is live then.

        Raises:
            app.errors.Problem: The picture cannot be read, or no answer came; each kind is a subclass of its own.
        """
        deadline = time.perf_counter() + self._timeout
        queue = decode = inference = 0.0
        live = await self._served.live()
        for _ in range(_LOOKS):
            decoded = await self._pool.decode(picture, height=live.height, width=live.width)
            queue += decoded.queue_seconds
            decode += decoded.decode_seconds
            started = time.perf_counter()
            try:
                prediction = await self._predict(decoded.image[np.newaxis], live, deadline - started)
            except ModelNotFound:
                live = await self._served.refresh()
                continue
            finally:
                inference += time.perf_counter() - started
            return Classification(
                _ranking(prediction), self._served.name, prediction.version, Timings(queue, decode, inference)
            )
        raise ServiceUnavailable(
            f"The versions of {self._served.name} changed faster than the picture could be classified. "
            "Send it again.",
            retry_after=self._retry_after,
        )

    async def _predict(self, images: np.ndarray, live: LiveVersion, seconds_left: float) -> Prediction:
        if seconds_left <= 0:
            raise self._too_late()
        try:
            return await self._client.predict(
                {INPUT: images},
                model=self._served.name,
                version=live.version,
                signature=SIGNATURE,
                output_filter=OUTPUTS,
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


def _ranking(prediction: Prediction) -> tuple[RankedClass, ...]:
    probabilities, ids, names = (prediction.outputs[name][0] for name in OUTPUTS)
    return tuple(
        RankedClass(class_id.decode(), name.decode(), float(probability))
        for class_id, name, probability in zip(ids, names, probabilities, strict=True)
    )
