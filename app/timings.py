"""Where the time of a request with pictures went."""

from dataclasses import dataclass

from app.decoding import Decoded


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a picture's time went, in seconds."""

    queue: float
    decode: float
    inference: float


class Spent:
    """Adds up what the pictures of one request took, where a swap of versions makes them start anew.

    Attributes:
        inference: Seconds in the model, which the pictures spend together.
    """

    def __init__(self, pictures: int) -> None:
        self.inference = 0.0
        self._queue = [0.0] * pictures
        self._decode = [0.0] * pictures

    def decoded(self, number: int, found: Decoded) -> None:
        """Add what decoding took of the picture with this number."""
        self._queue[number] += found.queue_seconds
        self._decode[number] += found.decode_seconds

    def timings(self, number: int) -> Timings:
        """What one picture's time was."""
        return Timings(self._queue[number], self._decode[number], self.inference)
