"""When the breaker opens, and how it closes again: with a clock that the tests turn."""

from typing import Any

import pytest

from proto_client import BreakerSettings, BreakerState, CircuitOpen
from proto_client.breaker import Admission, Breaker, Verdict
from tests.proto_client.clock import Clock

ALIVE, DEAD, NOTHING = Verdict.ALIVE, Verdict.DEAD, Verdict.NOTHING
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Scene:
    """A breaker, its clock, and the states that it was in."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.states: list[BreakerState] = []
        self.breaker = Breaker(BreakerSettings(**settings), on_change=self.states.append, clock=self.clock)

    def call(self, *verdicts: Verdict, every: float = 0.0) -> None:
        for verdict in verdicts:
            self.breaker.record(self.breaker.admit(), verdict)
            self.clock.turn(every)

    def open(self) -> None:
        self.call(*[DEAD] * 5)
        assert self.breaker.state is OPEN


def test_it_opens_at_the_share_of_failures_once_there_are_enough_calls() -> None:
    scene = Scene(min_calls=10, failure_share=0.5)
    scene.call(*[DEAD] * 9)
    assert scene.breaker.state is CLOSED
    scene.call(DEAD)
    assert scene.breaker.state is OPEN

    scene = Scene(min_calls=4, failure_share=0.5)
    scene.call(ALIVE, ALIVE, ALIVE, DEAD, DEAD)
    assert scene.breaker.state is CLOSED
    scene.call(DEAD)
    assert scene.breaker.state is OPEN


def test_what_lies_further_back_than_the_window_does_not_count() -> None:
    scene = Scene(window=10, min_calls=5)
    scene.call(*[DEAD] * 4)
    scene.clock.turn(11)
    scene.call(DEAD)
    assert scene.breaker.state is CLOSED


def test_after_a_thousand_good_calls_a_server_that_hangs_is_seen_with_the_first_deadlines() -> None:
    scene = Scene(window=10, min_calls=5)
    scene.call(*[ALIVE] * 1000, every=0.01)
    # Two seconds later, those who waited get their deadlines.
    scene.clock.turn(2)
    scene.call(*[DEAD] * 4)
    assert scene.breaker.state is CLOSED
    scene.call(DEAD)
    assert scene.breaker.state is OPEN


def test_short_and_partial_faults_among_many_calls_do_not_open_it() -> None:
    scene = Scene(window=10)
    scene.call(*[ALIVE] * 500, every=0.01)
    scene.call(*[DEAD] * 90, every=0.01)
    assert scene.breaker.state is CLOSED
    scene.call(*[ALIVE, DEAD, ALIVE] * 300, every=0.01)
    assert scene.breaker.state is CLOSED


def test_calls_that_say_nothing_do_not_count() -> None:
    scene = Scene()
    scene.call(*[NOTHING] * 100)
    assert scene.breaker.state is CLOSED


def test_open_it_refuses_at_once_and_tells_how_long() -> None:
    scene = Scene(open_seconds=2)
    scene.open()
    scene.clock.turn(0.5)
    with pytest.raises(CircuitOpen) as caught:
        scene.breaker.admit()
    assert caught.value.retry_in == pytest.approx(1.5)


def test_half_open_it_lets_one_call_through_at_a_time() -> None:
    scene = Scene(open_seconds=2)
    scene.open()
    scene.clock.turn(2)
    probe = scene.breaker.admit()
    assert probe.probe
    assert scene.breaker.state is HALF_OPEN
    with pytest.raises(CircuitOpen):
        scene.breaker.admit()
    scene.breaker.record(probe, ALIVE)
    assert scene.breaker.state is CLOSED
    assert not scene.breaker.admit().probe
    assert scene.states == [OPEN, HALF_OPEN, CLOSED]


def test_a_probe_that_fails_opens_it_for_as_long_again() -> None:
    scene = Scene(open_seconds=2)
    scene.open()
    scene.clock.turn(2)
    probe = scene.breaker.admit()
    scene.clock.turn(1.9)
    scene.breaker.record(probe, DEAD)
    with pytest.raises(CircuitOpen) as caught:
        scene.breaker.admit()
    assert caught.value.retry_in == pytest.approx(2)


def test_a_probe_that_says_nothing_makes_room_for_the_next() -> None:
    scene = Scene(open_seconds=2)
    scene.open()
    scene.clock.turn(2)
    scene.call(NOTHING)
    assert scene.breaker.state is HALF_OPEN
    assert scene.breaker.admit().probe


def test_closed_again_it_starts_with_an_empty_window() -> None:
    scene = Scene(min_calls=5, open_seconds=2)
    scene.open()
    scene.clock.turn(2)
    scene.call(ALIVE)
    scene.call(*[DEAD] * 4)
    assert scene.breaker.state is CLOSED


def test_calls_from_before_a_change_have_nothing_to_say_after_it() -> None:
    """Most of the calls that hung end only when the server is long back."""
    scene = Scene(min_calls=5, open_seconds=2)
    waiting: list[Admission] = [scene.breaker.admit() for _ in range(50)]
    scene.open()
    scene.clock.turn(2)
    scene.call(ALIVE)
    for admission in waiting:
        scene.breaker.record(admission, DEAD)
    assert scene.breaker.state is CLOSED


def test_a_server_heard_dead_and_then_alive_is_worth_a_probe_at_once() -> None:
    scene = Scene(open_seconds=60)
    scene.open()
    scene.breaker.hear(DEAD)
    scene.clock.turn(1)
    scene.breaker.hear(ALIVE)
    assert scene.breaker.state is OPEN
    assert scene.breaker.admit().probe


def test_one_that_answers_the_small_questions_all_along_is_not() -> None:
    """Its pictures hang nevertheless; so the wait is kept."""
    scene = Scene(open_seconds=60)
    scene.open()
    for _ in range(10):
        scene.breaker.hear(ALIVE)
    with pytest.raises(CircuitOpen):
        scene.breaker.admit()


def test_small_questions_neither_open_nor_close_it() -> None:
    scene = Scene()
    for _ in range(100):
        scene.breaker.hear(DEAD)
    assert scene.breaker.state is CLOSED
    scene.open()
    scene.breaker.hear(NOTHING)
    scene.breaker.hear(ALIVE)
    assert scene.breaker.state is OPEN


def test_that_it_is_back_is_not_forgotten_for_a_probe_sent_into_the_void() -> None:
    scene = Scene(open_seconds=60)
    scene.open()
    scene.breaker.hear(DEAD)
    scene.clock.turn(60)
    probe = scene.breaker.admit()
    scene.breaker.hear(ALIVE)
    scene.breaker.record(probe, DEAD)
    assert scene.breaker.admit().probe


def test_recovery_takes_no_longer_than_the_open_time_once_calls_succeed() -> None:
    """The server is back 7.3 s after the breaker opened; callers try every 50 ms, and a probe fails after 1 s."""
    scene = Scene(open_seconds=2)
    scene.open()
    begun = scene.clock.now
    back = begun + 7.3
    failing: Admission | None = None
    fails_at = 0.0
    while scene.breaker.state is not CLOSED:
        scene.clock.turn(0.05)
        if failing is not None and scene.clock.now >= fails_at:
            scene.breaker.record(failing, DEAD)
            failing = None
        try:
            probe = scene.breaker.admit()
        except CircuitOpen:
            continue
        if scene.clock.now >= back:
            scene.breaker.record(probe, ALIVE)
        else:
            failing, fails_at = probe, scene.clock.now + 1
    # At the worst, a probe had just been sent: its second, and then the two.
    assert scene.clock.now - back <= 3.1


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": 0},
        {"open_seconds": 0},
        {"min_calls": 0},
        {"failure_share": 0},
        {"failure_share": 1.1},
        {"min_wait": -1},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        BreakerSettings(**wrong)
