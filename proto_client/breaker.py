"""A circuit breaker: calls to a server that does not answer are refused at once, until it answers again.

The pattern is Michael Nygard's (Release It!, chapter "Stability Patterns"); the rolling window, judged by the share
of failures once there are enough calls, is that of Netflix's Hystrix and of resilience4j.
"""

import enum
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from proto_client.errors import CircuitOpen

__all__ = ["Admission", "Breaker", "BreakerSettings", "BreakerState", "Verdict"]

_SLICES = 10
# The newest of them, for a server of which all calls fail.
_NEWEST = 2


class BreakerState(enum.StrEnum):
    """CLOSED lets calls through, OPEN refuses them, HALF_OPEN lets one through to see."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Verdict(enum.Enum):
    """What the end of a call says of the server."""

    ALIVE = enum.auto()
    DEAD = enum.auto()
    NOTHING = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When the breaker opens, and for how long.

    Attributes:
        enabled: Whether there is one at all.
        window: Seconds that are looked back upon.
        min_calls: With fewer calls in the window it does not open.
        failure_share: It opens when this share of the window's calls has failed, 0 to 1; or all of those of its last
            fifth, so that many good calls from before cannot hide for long that none succeeds any more.
        open_seconds: How long it refuses calls before it lets one through.
        min_wait: A call whose deadline passed counts as failed only if it had at least so many seconds, and no less
            than calls usually take: nobody's short deadline shall close the service to others.

    Raises:
        ValueError: A value is out of range.
    """

    enabled: bool = True
    window: float = 10.0
    min_calls: int = 5
    failure_share: float = 0.5
    open_seconds: float = 2.0
    min_wait: float = 0.25

    def __post_init__(self) -> None:
        if self.window <= 0 or self.open_seconds <= 0 or self.min_wait < 0:
            raise ValueError("window and open_seconds must be above zero, and min_wait not below.")
        if self.min_calls < 1:
            raise ValueError("min_calls must be at least 1.")
        if not 0 < self.failure_share <= 1:
            raise ValueError("failure_share must be above 0 and at most 1.")


@dataclass(frozen=True, slots=True)
class Admission:
    """A call was let through; its end is told with this.

    Attributes:
        period: Between two changes of state; what a call of an earlier period has to say is old.
        probe: This one is let through to see whether the server answers again.
    """

    period: int
    probe: bool


@dataclass(slots=True)
class _Slice:
    number: int
    calls: int = 0
    failures: int = 0


class Breaker:
    """One for each target, for one event loop.

    Args:
        settings: When it opens, and for how long.
        on_change: Is told of each new state.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        settings: BreakerSettings,
        *,
        on_change: Callable[[BreakerState], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._on_change = on_change
        self._clock = clock
        self._state = BreakerState.CLOSED
        self._admission = Admission(0, probe=False)
        self._window: deque[_Slice] = deque()
        self._calls = 0
        self._failures = 0
        self._open_until = 0.0
        self._probing = False
        self._heard_dead = False
        self._heard_back = False

    @property
    def state(self) -> BreakerState:
        """The state now. An open breaker becomes half-open by the call that is let through, not by time alone."""
        return self._state

    def admit(self) -> Admission:
        """Let a call through, which must then be told of by `record`.

        Raises:
            CircuitOpen: The server is not believed to answer; nothing was sent.
        """
        if self._state is BreakerState.CLOSED:
            return self._admission
        if self._state is BreakerState.OPEN:
            left = self._open_until - self._clock()
            if left > 0:
                raise CircuitOpen(left)
            self._change(BreakerState.HALF_OPEN)
        if self._probing:
            raise CircuitOpen(self._settings.open_seconds)
        self._probing = True
        return Admission(self._admission.period, probe=True)

    def record(self, admission: Admission, verdict: Verdict) -> None:
        """A call that was let through is over, whichever way."""
        if admission.period != self._admission.period:
            # Of calls that hung, most end when the server is long back.
            return
        if admission.probe:
            self._probing = False
            if verdict is Verdict.ALIVE:
                self._close()
            elif verdict is Verdict.DEAD:
                self._open()
        elif verdict is not Verdict.NOTHING:
            self._count(verdict is Verdict.DEAD)

    def hear(self, verdict: Verdict) -> None:
        """Take the end of a call that needed no permission, such as the regular look at the versions, as news.

        It opens or closes nothing. But a server that was heard dead and is now heard alive is worth a probe at once.
        """
        if verdict is Verdict.DEAD:
            self._heard_dead = True
        elif verdict is Verdict.ALIVE and self._heard_dead:
            self._heard_dead = False
            if self._state is BreakerState.OPEN:
                self._open_until = self._clock()
            elif self._state is BreakerState.HALF_OPEN:
                # The probe may have been sent into the void before.
                self._heard_back = True

    def _count(self, failed: bool) -> None:
        number = int(self._clock() * _SLICES / self._settings.window)
        window = self._window
        while window and window[0].number <= number - _SLICES:
            old = window.popleft()
            self._calls -= old.calls
            self._failures -= old.failures
        if not window or window[-1].number != number:
            window.append(_Slice(number))
        newest = window[-1]
        newest.calls += 1
        self._calls += 1
        if not failed:
            return
        newest.failures += 1
        self._failures += 1
        if self._is_bad(self._calls, self._failures, self._settings.failure_share):
            self._open()
            return
        recent = [one for one in window if one.number > number - _NEWEST]
        if self._is_bad(sum(one.calls for one in recent), sum(one.failures for one in recent), 1):
            self._open()

    def _is_bad(self, calls: int, failures: int, share: float) -> bool:
        return calls >= self._settings.min_calls and failures >= share * calls

    def _open(self) -> None:
        self._open_until = self._clock() + (0 if self._heard_back else self._settings.open_seconds)
        self._heard_back = False
        self._change(BreakerState.OPEN)

    def _close(self) -> None:
        self._window.clear()
        self._calls = self._failures = 0
        self._heard_back = False
        self._change(BreakerState.CLOSED)

    def _change(self, state: BreakerState) -> None:
        self._state = state
        self._admission = Admission(self._admission.period + 1, probe=False)
        self._on_change(state)
