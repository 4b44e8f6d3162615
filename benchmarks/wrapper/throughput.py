"""Pictures a second before the real model, beside the model server alone."""

import statistics
from dataclasses import dataclass

from benchmarks.support.direct import direct, ready_request
from benchmarks.support.load import closed_loop, upload
from benchmarks.support.pictures import photo
from benchmarks.support.services import PREDICT, TOKEN, Service


@dataclass(frozen=True, slots=True)
class Throughput:
    """Pictures a second in each round: of the model server for ready tensors, and of the whole service."""

    alone: list[float]
    whole: list[float]
    failed: int

    @property
    def share(self) -> float:
        """The median over the rounds of what the whole service reaches of the model server alone."""
        return statistics.median(whole / alone for whole, alone in zip(self.whole, self.alone, strict=True))


async def measure_throughput(
    service: Service,
    target: str,
    *,
    side: int,
    size: tuple[int, int],
    callers_at_once: int,
    rounds: int,
    seconds: float,
) -> Throughput:
    """Load both in turn with as many callers."""
    request, ready = upload(PREDICT, [photo(*size)], token=TOKEN), ready_request(side)
    found = Throughput([], [], 0)
    failed = 0
    async with direct(target) as channel:
        for number in range(rounds + 1):
            plain = await channel.closed_loop(ready, callers_at_once=callers_at_once, seconds=seconds)
            whole = await closed_loop(service.port, request, callers_at_once=callers_at_once, seconds=seconds)
            if number:  # the first round warms up
                found.alone.append(len(plain.seconds) / plain.wall)
                found.whole.append(len(whole.seconds) / whole.wall)
                failed += plain.failed + whole.failed
    return Throughput(found.alone, found.whole, failed)
