"""Waits: at fixed arrival rates, and what the gateway adds to a plain gRPC call."""

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.support.direct import direct, ready_request
from benchmarks.support.load import Waits, callers, open_loop, upload
from benchmarks.support.pictures import photo
from benchmarks.support.services import PREDICT, TOKEN, Service


@dataclass(frozen=True, slots=True)
class Added:
    """Median waits in milliseconds: of a plain gRPC client with a ready tensor, and of the whole way over HTTP."""

    direct: float
    whole: float

    @property
    def added(self) -> float:
        """The difference."""
        return self.whole - self.direct


async def measure_added(
    service: Service, target: str, *, side: int, size: tuple[int, int], rounds: int = 200
) -> Added:
    """Ask in turn, one at a time, with pauses, so that neither waits for anything but itself."""
    request, ready = upload(PREDICT, [photo(*size)], token=TOKEN), ready_request(side)
    whole: list[float] = []
    plain: list[float] = []
    async with direct(target) as channel, callers(service.port, 1) as (caller,):
        for number in range(rounds + 20):
            for ask, into in ((channel.ask(ready), plain), (caller.ask(request), whole)):
                started = time.perf_counter()
                await ask
                if number >= 20:
                    into.append(time.perf_counter() - started)
                await asyncio.sleep(0.005)
    return Added(1000 * statistics.median(plain), 1000 * statistics.median(whole))


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What was measured at one rate: requests a second asked, and percentiles of the waits in milliseconds."""

    rate: float
    p50: float
    p95: float
    p99: float
    failed: int

    @classmethod
    def of(cls, rate: float, waits: Waits) -> "Arrivals":
        """Take the percentiles."""
        p50, p95, p99 = 1000 * np.percentile(waits.seconds or [float("nan")], [50, 95, 99])
        return cls(rate, float(p50), float(p95), float(p99), waits.failed)


async def measure_arrivals(
    sides: Mapping[str, Service], size: tuple[int, int], rates: Sequence[float], *, seconds: float
) -> dict[str, list[Arrivals]]:
    """Send at fixed rates to each side in turn; the sides never at the same time, for they share the machine."""
    request = upload(PREDICT, [photo(*size)], token=TOKEN)
    found: dict[str, list[Arrivals]] = {name: [] for name in sides}
    for rate in rates:
        for name, service in sides.items():
            waits = await open_loop(service.port, request, rate=rate, seconds=seconds)
            found[name].append(Arrivals.of(rate, waits))
    return found
