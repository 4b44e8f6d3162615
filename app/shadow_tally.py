"""How often two versions agreed, in a log line now and then."""

import logging
import time
from dataclasses import dataclass
from typing import Final

from agreement import Agreement
from app.logs import fields

# So long after the first comparison that is in it; one more at the end.
_SECONDS: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Sums:
    compared: int = 0
    same_first: int = 0
    overlap: float = 0.0
    total_variation: float = 0.0


class ShadowTally:
    """Adds up and logs.

    Args:
        model: The model's name.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._sums: dict[tuple[int, int], _Sums] = {}
        self._began = 0.0

    def add(self, version: int, candidate: int, found: Agreement) -> None:
        """Count one comparison.

        Args:
            version: The version that the caller got.
            candidate: The other one.
            found: How far they agree.
        """
        if not self._sums:
            self._began = time.monotonic()
        sums = self._sums.setdefault((version, candidate), _Sums())
        sums.compared += 1
        sums.same_first += found.same_first
        sums.overlap += found.overlap
        sums.total_variation += found.total_variation
        if time.monotonic() - self._began >= _SECONDS:
            self.log()

    def log(self) -> None:
        """Write a line for each pair of versions that was compared since the last time, and begin anew."""
        for (version, candidate), sums in self._sums.items():
            extra = fields(
                model=self._model,
                model_version=version,
                candidate_version=candidate,
                compared=sums.compared,
                top1_agreement=round(sums.same_first / sums.compared, 4),
                top3_overlap=round(sums.overlap / sums.compared, 4),
                total_variation=round(sums.total_variation / sums.compared, 4),
            )
            _log.info("shadow", extra=extra)
        self._sums.clear()
