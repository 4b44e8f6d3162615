"""How long a call usually takes, learnt from attempts that succeeded and from those that were given up."""

__all__ = ["UsualTime"]

# RFC 6298, section 2: the gains of the mean and of the deviation, and how many deviations are still usual.
_MEAN_GAIN = 1 / 8
_DEVIATION_GAIN = 1 / 4
_DEVIATIONS = 4
# Section 5.5: who has waited in vain waits twice as long the next time.
_BACKOFF = 2


class UsualTime:
    """A running mean and deviation, by which TCP too tells a late answer from a lost one (RFC 6298).

    Servers that have all become slower than an attempt may take would never be heard, and nothing learnt of them. So
    what was given up counts too, as it does for TCP, until there is an answer again.
    """

    def __init__(self) -> None:
        self._mean: float | None = None
        self._deviation = 0.0
        self._backed_off = 0.0

    @property
    def at_most(self) -> float:
        """Seconds within which an answer may be expected: the mean and four deviations; 0 before the first one."""
        return 0.0 if self._mean is None else self._mean + _DEVIATIONS * self._deviation

    @property
    def backed_off(self) -> float:
        """Twice the seconds after which an attempt was given up in vain; 0 where one has been answered since."""
        return self._backed_off

    def add(self, seconds: float) -> None:
        """Learn from an attempt that succeeded."""
        self._backed_off = 0.0
        if self._mean is None:
            self._mean, self._deviation = seconds, seconds / 2
            return
        self._deviation += _DEVIATION_GAIN * (abs(seconds - self._mean) - self._deviation)
        self._mean += _MEAN_GAIN * (seconds - self._mean)

    def give_up(self, seconds: float) -> float:
        """Learn from an attempt that was given up.

        Of many that are given up at the same moment, each says the same, and the time is doubled once.

        Returns:
            The seconds that the call's next attempt should get at least.
        """
        longer = _BACKOFF * seconds
        self._backed_off = max(self._backed_off, longer)
        return longer
