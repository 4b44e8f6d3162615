"""The spread of a result over seeds."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Results of the same settings with several seeds.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation, of a sample (n - 1); nan for a single one.
        lowest: The lowest.
        highest: The highest.
        count: How many.
    """

    mean: float
    deviation: float
    lowest: float
    highest: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one value."""
        return cls(
            statistics.fmean(values),
            statistics.stdev(values) if len(values) > 1 else math.nan,
            min(values),
            max(values),
            len(values),
        )

    def as_json(self) -> dict[str, float | int | None]:
        """Plain values; JSON has no number for a deviation that is not known."""
        return {**asdict(self), "deviation": None if self.count < 2 else self.deviation}

    def share(self) -> str:
        """A share in percent: the mean, and the deviation where there is one."""
        return self._spelt(100, 1, "%")

    def number(self) -> str:
        """A number: the mean, and the deviation where there is one."""
        return self._spelt(1, 4, "")

    def _spelt(self, factor: float, digits: int, unit: str) -> str:
        spelt = f"{factor * self.mean:.{digits}f}{unit}"
        if math.isnan(self.deviation):
            return spelt
        return f"{spelt} ± {factor * self.deviation:.{digits + (factor > 1)}f}"
