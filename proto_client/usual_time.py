"""How long a call usually takes, learnt from those that succeeded."""

__all__ = ["UsualTime"]

# RFC 6298, section 2: the gains of the mean and of the deviation, and how many deviations are still usual.
_MEAN_GAIN = 1 / 8
_DEVIATION_GAIN = 1 / 4
_DEVIATIONS = 4


class UsualTime:
    """A running mean and deviation, by which TCP too tells a late answer from a lost one (RFC 6298)."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._deviation = 0.0

    @property
    def at_most(self) -> float:
        """Seconds within which an answer may be expected: the mean and four deviations; 0 before the first one."""
        return 0.0 if self._mean is None else self._mean + _DEVIATIONS * self._deviation

    def add(self, seconds: float) -> None:
        """Learn from a call that succeeded at its first attempt."""
        if self._mean is None:
            self._mean, self._deviation = seconds, seconds / 2
            return
        self._deviation += _DEVIATION_GAIN * (abs(seconds - self._mean) - self._deviation)
        self._mean += _MEAN_GAIN * (seconds - self._mean)
