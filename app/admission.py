"""How much work the gateway takes on at a time; what is more is refused at once, before its body is read.

A request that is refused in a millisecond can be sent again, elsewhere or later. One that is let in beyond what the
gateway can do makes all others slower until every caller has given up, and the work was for nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.errors import ServiceUnavailable
from app.metrics.recorder import Recorder, ShedReason


class Place:
    """What one request that was let in holds. Made by `Admission.let_in` only."""

    def __init__(self, admission: "Admission", upload_bytes: int) -> None:
        self._admission = admission
        self.upload_bytes = upload_bytes

    def shrink(self, upload_bytes: int) -> None:
        """Give back what was set aside beyond the upload's true size, in bytes; it never grows."""
        spare = self.upload_bytes - upload_bytes
        if spare > 0:
            self.upload_bytes = upload_bytes
            self._admission.give_back(spare)


class Admission:
    """Counts the picture requests in flight and the bytes set aside for their uploads. For one event loop only.

    Args:
        max_in_flight: How many requests may be in flight.
        max_upload_bytes: Bytes for all their uploads.
        retry_after: Seconds that those who are refused are told to wait.
        recorder: Is told of every change, and of those who are refused.
        decoding_full: Says whether as many pictures wait for decoding as may: one that is read only to be refused
            there costs time that those who wait could use.
    """

    def __init__(
        self,
        *,
        max_in_flight: int,
        max_upload_bytes: int,
        retry_after: int,
        recorder: Recorder,
        decoding_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._max_in_flight = max_in_flight
        self._max_upload_bytes = max_upload_bytes
        self._retry_after = retry_after
        self._recorder = recorder
        self._decoding_full = decoding_full
        self.in_flight = 0
        self.upload_bytes = 0

    @contextmanager
    def let_in(self, upload_bytes: int) -> Iterator[Place]:
        """Hold a place until the block ends.

        Args:
            upload_bytes: What the request's body can take at most.

        Raises:
            ServiceUnavailable: There is no place, or not that much memory.
        """
        if self.in_flight >= self._max_in_flight:
            raise self._refusal("in_flight", "as many pictures as it takes on at a time")
        if self.upload_bytes + upload_bytes > self._max_upload_bytes:
            raise self._refusal("upload_memory", "uploads up to the memory that it has for them")
        if self._decoding_full():
            raise self._refusal("decode_queue", "as many pictures waiting for decoding as it takes on")
        self._change(1, upload_bytes)
        place = Place(self, upload_bytes)
        try:
            yield place
        finally:
            self._change(-1, -place.upload_bytes)

    def give_back(self, upload_bytes: int) -> None:
        """Take back bytes that were set aside."""
        self._change(0, -upload_bytes)

    def _change(self, in_flight: int, upload_bytes: int) -> None:
        self.in_flight += in_flight
        self.upload_bytes += upload_bytes
        self._recorder.work_changed(in_flight=in_flight, upload_bytes=upload_bytes)

    def _refusal(self, reason: ShedReason, what: str) -> ServiceUnavailable:
        self._recorder.shed(reason)
        return ServiceUnavailable(
            f"The service has {what}. Nothing of this request was read; send it again after "
            f"{self._retry_after} seconds.",
            retry_after=self._retry_after,
        )
