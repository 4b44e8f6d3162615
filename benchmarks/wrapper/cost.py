"""CPU time and throughput a core: ours, the old design and the floor, turn and turn about."""

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.support.load import Caller, callers, one_by_one, upload
from benchmarks.support.pictures import photo
from benchmarks.support.services import PREDICT, TOKEN, Service

FLOOR_PATHS = ("/read", "/decode", "/rpc", "/all")
# So that each round takes about as long for every size.
_REQUESTS = {299: 60, 1280: 24, 4032: 6}


@dataclass(slots=True)
class Cost:
    """What one side spent on a picture of one size, one figure for each round: CPU seconds, and the median wait."""

    cpu: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    @property
    def cpu_ms(self) -> float:
        """The median over the rounds, in milliseconds."""
        return 1000 * statistics.median(self.cpu)

    @property
    def wait_ms(self) -> float:
        """The same of the waits."""
        return 1000 * statistics.median(self.waited)


async def _ask(
    service: Service, connections: Sequence[Caller], request: bytes, count: int, into: Cost
) -> None:
    each = -(-count // len(connections))
    before = service.process.cpu_seconds()
    waits = await asyncio.gather(*(one_by_one(caller, request, each) for caller in connections))
    into.cpu.append((service.process.cpu_seconds() - before) / (each * len(connections)))
    into.waited.append(statistics.median(second for one in waits for second in one.seconds))


async def measure_cost(
    sides: Mapping[str, Service], sizes: Sequence[tuple[int, int]], *, rounds: int, at_once: int = 1
) -> dict[str, dict[str, Cost]]:
    """Ask all sides in turn.

    Args:
        sides: The services by name; one named `floor` is asked for each of its paths.
        sizes: Width and height of the pictures.
        rounds: How often each side is asked for each size, after one round that only warms up.
        at_once: Callers, each with its next request when it has its answer. One alone lets the process fall asleep
            between requests, and find the processor's caches cold; several keep it busy, as where cost matters.

    Returns:
        Costs by "width×height" and by name; the floor's parts are named `floor/read` and so on.
    """
    found: dict[str, dict[str, Cost]] = {}
    for width, height in sizes:
        picture = photo(width, height)
        asked = [
            (name if path == PREDICT else f"{name}{path}", side, upload(path, [picture], token=TOKEN))
            for name, side in sides.items()
            for path in (FLOOR_PATHS if name == "floor" else (PREDICT,))
        ]
        costs = {name: Cost() for name, _, _ in asked}
        count = _REQUESTS[width]
        for number in range(rounds + 1):
            # Each goes first as often as the others.
            turn = number % len(asked)
            for name, side, request in asked[turn:] + asked[:turn]:
                async with callers(side.port, at_once) as connections:
                    into = costs[name] if number else Cost()
                    await _ask(side, connections, request, count, into)
        found[f"{width}×{height}"] = costs
    return found
