"""What comes out when four times as much goes in as the gateway, or the model server, can do.

    python -m benchmarks.overload

Two cases. In one the model server is the limit: the tests' fake takes 40 ms for a picture, four at a time, so 100 a
second and no more. In the other decoding is: a PNG of three megapixels, in one thread.

In each round the peak is measured first, with sixteen callers, each of whom sends the next picture when he has the
last answer. Then pictures come at four times that rate, whatever becomes of the earlier ones. Each round is a
comparison of its own, since what else the machine does changes from one to the next; the medians count. Health is
asked ten times a second meanwhile.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from benchmarks.support.arrivals import steady
from benchmarks.support.load import closed_loop, upload
from benchmarks.support.processes import cpu_clock
from tests.support.backend_process import running_backend
from tests.support.gateway import PREDICT, TOKEN
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.load import Load
from tests.support.pictures import encoded, grey_jpeg, quadrants

FACTOR = 4
CALLERS = 16
ROUNDS = 5
PEAK_SECONDS = 5.0
SECONDS = 8.0
# Until the queues are as full as they get.
SETTLING = 3.0


@dataclass(frozen=True)
class Case:
    """What limits, and by which settings."""

    name: str
    backend: tuple[str, ...]
    picture: bytes
    settings: Mapping[str, int]


@dataclass
class Found:
    """What the rounds of a case came to; seconds, bytes and requests a second."""

    peak: list[float] = field(default_factory=list)
    goodput: list[float] = field(default_factory=list)
    cpu: list[tuple[float, float]] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    load: Load = field(default_factory=Load)


CASES = (
    Case("the model server is the limit", ("--seconds=0.04", "--places=4"), grey_jpeg(7), {}),
    Case("decoding is the limit", (), encoded(quadrants(2000, 1500), "PNG"), {"decode_workers": 1}),
)


async def measure(case: Case) -> Found:
    """Measure one case."""
    request = upload(PREDICT, [case.picture], token=TOKEN)
    found = Found()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_backend(folder, *case.backend) as backend:
            async with gateway_process(backend.target, folder, **case.settings) as gateway:
                await gateway.until_ready()
                watching = asyncio.create_task(watch(gateway, found))
                await closed_loop(gateway.port, request, callers_at_once=CALLERS, seconds=1)
                for _ in range(ROUNDS):
                    await one_round(gateway, request, found)
                watching.cancel()
    return found


async def one_round(gateway: GatewayProcess, request: bytes, found: Found) -> None:
    """Measure the peak, and then what four times as much does."""
    clock = cpu_clock(gateway.process.pid)

    def cpu() -> float:
        return time.clock_gettime(clock)

    before = cpu()
    waits = await closed_loop(gateway.port, request, callers_at_once=CALLERS, seconds=PEAK_SECONDS)
    peak = len(waits.seconds) / waits.wall
    at_peak = (cpu() - before) / waits.wall
    load = Load()

    async def look() -> None:
        # Without what is answered after the last request has come.
        await asyncio.sleep(SETTLING)
        started, before = time.monotonic(), cpu()
        await asyncio.sleep(SECONDS - SETTLING)
        ended = time.monotonic()
        found.cpu.append((at_peak, (cpu() - before) / (ended - started)))
        found.goodput.append(load.rate(started, ended))

    async with asyncio.TaskGroup() as group:
        group.create_task(look())
        group.create_task(
            steady(lambda: gateway.port, request, rate=FACTOR * peak, seconds=SECONDS, load=load)
        )
    found.peak.append(peak)
    found.load.outcomes += load.outcomes


async def watch(gateway: GatewayProcess, found: Found) -> None:
    """Note how long /healthz takes, and the memory."""
    process = psutil.Process(gateway.process.pid)
    while True:
        asked = time.monotonic()
        await gateway.healthy()
        found.health.append(time.monotonic() - asked)
        found.memory.append(process.memory_info().rss)
        await asyncio.sleep(0.1)


def report(case: Case, found: Found) -> None:
    """Print what was found."""
    ratios = [goodput / peak for goodput, peak in zip(found.goodput, found.peak, strict=True)]
    print(f"{case.name}: {ROUNDS} rounds")
    print(f"  {'peak a second':>14} {'offered':>9} {'goodput':>9} {'share':>7}   CPU cores of the gateway's")
    for peak, goodput, ratio, cores in zip(found.peak, found.goodput, ratios, found.cpu, strict=True):
        print(
            f"  {peak:14.1f} {FACTOR * peak:9.0f} {goodput:9.1f} {ratio:7.1%}   {cores[0]:.2f} and {cores[1]:.2f}"
        )
    refused = Counter(one.what for one in found.load.outcomes if one.what != 200)
    # From when it was sent: here it is the sender that is short of time as well.
    waits = {
        status: [one.seconds - one.late for one in found.load.outcomes if one.what == status]
        for status in (200, 503)
    }
    work = [ratio * peak / over for ratio, (peak, over) in zip(ratios, found.cpu, strict=True)]
    print(f"  goodput over peak, median: {statistics.median(ratios):.1%}")
    print(f"  the same for each second of CPU time that the gateway got: {statistics.median(work):.1%}")
    percentiles = ", ".join(
        f"p{percent} {np.percentile(waits[200], percent):.2f} s" for percent in (50, 99, 100)
    )
    print(f"  answered {found.load.by_kind[200]}: {percentiles}; others {dict(refused)}")
    print(f"  told of a 503 within {statistics.median(waits[503]) * 1e3:.0f} ms in the median")
    print(f"  memory: {found.memory[0] / 1e6:.0f} MB before, {max(found.memory) / 1e6:.0f} MB at most")
    health = sorted(found.health)
    print(f"  /healthz: p50 {health[len(health) // 2] * 1e3:.0f} ms, at most {health[-1] * 1e3:.0f} ms")


async def main() -> None:
    """Measure all cases."""
    argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__).parse_args()
    for case in CASES:
        report(case, await measure(case))
    print(f"{len(os.sched_getaffinity(0))} cores", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main())
