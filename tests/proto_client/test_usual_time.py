"""How long calls usually take."""

import pytest

from proto_client.usual_time import UsualTime


def test_nothing_is_usual_before_the_first_call() -> None:
    assert UsualTime().at_most == 0


def test_the_first_call_counts_with_half_of_itself_as_deviation() -> None:
    usual = UsualTime()
    usual.add(0.1)
    assert usual.at_most == pytest.approx(0.3)


def test_steady_calls_leave_little_room_and_unsteady_ones_much() -> None:
    steady, unsteady = UsualTime(), UsualTime()
    for number in range(200):
        steady.add(0.1)
        unsteady.add(0.05 if number % 2 else 0.15)
    assert steady.at_most == pytest.approx(0.1, rel=0.01)
    assert 0.25 < unsteady.at_most < 0.35


def test_it_follows_a_server_that_becomes_slower() -> None:
    usual = UsualTime()
    for seconds in [0.1] * 50 + [1.0] * 5:
        usual.add(seconds)
    assert usual.at_most > 1.0


def test_what_was_given_up_counts_twice_until_there_is_an_answer() -> None:
    usual = UsualTime()
    assert usual.backed_off == 0
    # Many at the same moment say the same thing.
    assert [usual.give_up(0.2) for _ in range(50)] == [0.4] * 50
    assert usual.backed_off == 0.4
    assert usual.give_up(0.1) == 0.2
    assert usual.backed_off == 0.4
    # That is patience, not knowledge.
    assert usual.at_most == 0
    usual.add(0.1)
    assert usual.backed_off == 0
