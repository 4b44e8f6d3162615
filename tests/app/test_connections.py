"""The bound on open connections, and who makes room for whom."""

import asyncio
import resource
import subprocess
import sys
from collections import Counter
from typing import cast

import pytest

from app.connections import BoundedProtocol, Connections
from app.metrics.recorder import ConnectionEnd, Recorder
from tests.support.processes import ROOT


class Counting(Recorder):
    def __init__(self) -> None:
        self.open = 0
        self.ends: Counter[ConnectionEnd] = Counter()

    def connections_changed(self, change: int) -> None:
        self.open += change

    def connection_ended(self, reason: ConnectionEnd) -> None:
        self.ends[reason] += 1


class Connection:
    """As much of a connection as is asked of it."""

    def __init__(self) -> None:
        self.aborted = False

    @property
    def transport(self) -> "Connection":
        return self

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def recorder() -> Counting:
    return Counting()


@pytest.fixture
def bound(recorder: Counting) -> Connections:
    return Connections(limit=3, head_seconds=1, recorder=recorder)


def opened(bound: Connections) -> BoundedProtocol:
    made = cast("BoundedProtocol", Connection())
    assert bound.opened(made)
    return made


def aborted(connection: BoundedProtocol) -> bool:
    return cast("Connection", connection).aborted


def test_who_has_never_asked_makes_room_before_who_has(bound: Connections, recorder: Counting) -> None:
    asked, silent, also_silent = (opened(bound) for _ in range(3))
    bound.busy(asked)
    bound.idle(asked)
    opened(bound)
    assert (aborted(asked), aborted(silent), aborted(also_silent)) == (False, True, False)
    opened(bound)
    assert (aborted(asked), aborted(also_silent)) == (False, True)
    assert recorder.ends == {"made_room": 2}
    assert recorder.open == 3


def test_of_those_who_have_asked_the_one_idle_for_longest_makes_room(bound: Connections) -> None:
    first, second, third = (opened(bound) for _ in range(3))
    for connection in (first, second, third, first):
        bound.busy(connection)
        bound.idle(connection)
    opened(bound)
    assert (aborted(first), aborted(second), aborted(third)) == (False, True, False)


def test_a_request_in_flight_is_never_cut_off(bound: Connections, recorder: Counting) -> None:
    busy = [opened(bound) for _ in range(3)]
    for connection in busy:
        bound.busy(connection)
    assert not bound.opened(cast("BoundedProtocol", Connection()))
    assert not any(map(aborted, busy))
    assert recorder.ends == {"refused": 1}
    bound.idle(busy[0])
    opened(bound)
    assert aborted(busy[0])


def test_what_is_closed_is_gone_and_does_not_come_back(bound: Connections, recorder: Counting) -> None:
    one = opened(bound)
    bound.busy(one)
    bound.closed(one)
    bound.closed(one)
    bound.idle(one)
    assert recorder.open == 0
    for _ in range(3):
        opened(bound)
    assert not aborted(one)


LIMITS = """
import logging, resource, sys
from app.open_files import allow_open_files
logging.basicConfig(format="%(message)s")
allow_open_files(int(sys.argv[1]))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


async def limit_after(connections: int, soft: int, hard: int) -> tuple[int, str]:
    """The soft limit that a process has after it has asked for room, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh"),
        *(sys.executable, "-c", LIMITS, str(connections)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, said = await process.communicate()
    assert process.returncode == 0, said
    return int(output), said.decode()


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096, reason="few open files here")
async def test_the_limit_of_open_files_is_raised_as_far_as_it_is_needed_and_allowed() -> None:
    assert await limit_after(2000, soft=1024, hard=4096) == (2512, "")
    assert await limit_after(100, soft=1024, hard=4096) == (1024, "")
    limit, said = await limit_after(2000, soft=1024, hard=2048)
    assert limit == 2048
    assert "SPORTVISION_MAX_CONNECTIONS" in said
