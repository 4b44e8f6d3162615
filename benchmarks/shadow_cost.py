"""What shadow mode costs a caller: gateways with it and without, turn and turn about in one run.

    python -m benchmarks.shadow_cost [--milliseconds 20] [--sets 6] [--rounds 40] [--other-size]

Each side is a gateway process of its own. All have the same model server behind them, which answers after a fixed
time: TensorFlow's would be computed, on cores that the gateway would then lack. One caller sends one picture after
the other, so the second version's work for one picture falls into the next one's time: the hardest case there is.
With --other-size the second version takes another input, so its pictures are decoded anew.

Two sides have no shadow mode: what they differ by is chance. Every set has gateways of its own, started in another
order, for two processes of the same program are never quite alike.
"""

import argparse
import asyncio
import contextlib
import itertools
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.support.load import Caller, one_by_one, upload
from benchmarks.support.processes import PYTHON, Measured, answers, running, wait_until
from tests.support.gateway import PREDICT, TOKEN
from tests.support.pictures import encoded, quadrants
from tests.support.processes import free_port, listens

# Few, so that the sides of a round meet the same machine, whatever else it does.
REQUESTS = 10
SIDES = {"off": 0.0, "off again": 0.0, "10%": 0.1, "all": 1.0}


@dataclass(slots=True)
class Side:
    """What was measured of one kind of gateway, one value a round."""

    waits: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    all_waits: list[float] = field(default_factory=list)
    seen: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway process."""

    port: int
    process: Measured
    caller: Caller

    async def round(self, request: bytes, side: Side) -> None:
        """Send the requests of one round."""
        before = self.process.cpu_seconds()
        waits = await one_by_one(self.caller, request, REQUESTS)
        side.cpu.append((self.process.cpu_seconds() - before) / REQUESTS)
        side.waits.append(statistics.median(waits.seconds))
        side.all_waits += waits.seconds


@contextlib.asynccontextmanager
async def gateway(share: float, backend: int, log: Path) -> AsyncIterator[Gateway]:
    """Run a gateway whose shadow mode has this share."""
    port = free_port()
    environment = {
        "SPORTVISION_TOKENS": TOKEN,
        "SPORTVISION_PORT": str(port),
        "SPORTVISION_MODEL_SERVER": f"127.0.0.1:{backend}",
        "SPORTVISION_SPORT_MODEL_LABEL": "stable",
        "SPORTVISION_SPORT_MODEL_SHADOW_SHARE": str(share),
        "SPORTVISION_PRODUCT_MODEL": "",
        "SPORTVISION_LOG_LEVEL": "warning",
        # Looks at the versions are not what is measured.
        "SPORTVISION_MODEL_REFRESH_SECONDS": "60",
    }
    with running([PYTHON, "-m", "app"], log=log, environment=environment) as process:
        await asyncio.to_thread(
            wait_until, lambda: answers(f"http://127.0.0.1:{port}/readyz"), process, pause=0.1
        )
        caller = Caller(port)
        try:
            yield Gateway(port, process, caller)
        finally:
            await caller.close()


def compared(port: int) -> tuple[int, int]:
    """How many pictures a gateway's second version saw, and how many were left out."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()

    def total(name: str) -> int:
        return int(
            sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"sportvision_{name}{{"))
        )

    return total("shadow_comparisons_total"), total("shadow_skips_total")


def ratio(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """The median over the rounds, each against the same round's other side, and where it lies with 95%.

    By order statistics: the interval's ends are half the number, less and more its root (the binomial's 1.96 standard
    deviations; Conover, Practical Nonparametric Statistics, 3rd edition 1999, section 3.2).
    """
    found = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
    half, reach = len(found) / 2, 0.98 * len(found) ** 0.5
    low, high = max(0, int(half - reach)), min(len(found) - 1, int(half + reach))
    return found[low], statistics.median(found), found[high]


def report(sides: dict[str, Side]) -> None:
    """Print a table; ratios are against the first side."""
    base = next(iter(sides.values()))
    head = f"{'shadow':>9} {'median':>9} {'ratio (95%)':>26} {'p99':>9} {'CPU':>9} {'ratio (95%)':>24}"
    print(f"{head} {'seen':>6} {'left out':>9}")
    for name, side in sides.items():
        low, middle, high = ratio(side.waits, base.waits)
        cpu_low, cpu, cpu_high = ratio(side.cpu, base.cpu)
        p99 = statistics.quantiles(side.all_waits, n=100)[98]
        wait = f"{statistics.median(side.all_waits) * 1e3:6.2f} ms {middle:9.4f} ({low:.4f} – {high:.4f})"
        work = f"{statistics.median(side.cpu) * 1e3:6.2f} ms {cpu:7.3f} ({cpu_low:.3f} – {cpu_high:.3f})"
        print(f"{name:>9} {wait} {p99 * 1e3:6.2f} ms {work} {side.seen:>6} {side.left_out:>9}")


async def one_set(
    number: int, rounds: int, pause: float, backend: int, request: bytes, sides: dict[str, Side], folder: Path
) -> None:
    """Measure with gateways of their own."""
    names = list(SIDES)
    async with contextlib.AsyncExitStack() as stack:
        gateways = {}
        for name in names[number % len(names) :] + names[: number % len(names)]:
            log = folder / f"{number}-{name}.log"
            gateways[name] = await stack.enter_async_context(gateway(SIDES[name], backend, log))
        orders = list(itertools.permutations(names))
        for turn in range(rounds + 1):
            # Another order every time, so that each comes after each other as often. The first round only warms up.
            for name in orders[(number * rounds + turn) * 7 % len(orders)]:
                await gateways[name].round(request, sides[name] if turn else Side())
                # What shadow mode still does is this side's, and must not fall into the next one's time.
                await asyncio.sleep(pause)
        for name, one in gateways.items():
            seen, left_out = await asyncio.to_thread(compared, one.port)
            sides[name].seen += seen
            sides[name].left_out += left_out


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shadow_cost", description=__doc__)
    parser.add_argument("--milliseconds", type=float, default=20.0, help="what the model server takes")
    parser.add_argument("--sets", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=40, help="in each set")
    parser.add_argument("--other-size", action="store_true", help="the second version takes another input")
    options = parser.parse_args()
    request = upload(PREDICT, [encoded(quadrants(640, 480), quality=85)], token=TOKEN)
    sides = {name: Side() for name in SIDES}
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        side = 160 if options.other_size else 224
        command = [PYTHON, "-m", "benchmarks.backends.two_versions", f"--port={port}"]
        command += [f"--milliseconds={options.milliseconds}", f"--candidate-side={side}"]
        pause = 0.05 + 2 * options.milliseconds / 1000
        with running(command, log=folder / "backend.log") as backend:
            wait_until(lambda: listens(port), backend)
            for number in range(options.sets):
                await one_set(number, options.rounds, pause, port, request, sides, folder)
    report(sides)
    print(
        f"{options.sets} sets of {options.rounds} rounds of {REQUESTS} requests a side, one at a time; the model "
        f"server answers after {options.milliseconds:g} ms",
        file=sys.stderr,
    )


if __name__ == "__main__":
    asyncio.run(main())
