"""What shadow mode costs a caller: gateways with it and without, turn and turn about in one run.

    python -m benchmarks.shadow_cost [--milliseconds 20] [--rounds 200] [--other-size]

Each side is a gateway process of its own. All have the same model server behind them, which answers after a fixed
time: TensorFlow's would be computed, on cores that the gateway would then lack. One caller sends one picture after
the other, so the second version's work for one picture falls into the next one's time: the hardest case there is.
With --other-size the second version takes another input, so its pictures are decoded anew.
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
SHARES = (0.0, 0.1, 1.0)


@dataclass(slots=True)
class Side:
    """One gateway, and what was measured of it, one value a round."""

    port: int
    process: Measured
    caller: Caller
    waits: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    all_waits: list[float] = field(default_factory=list)

    async def round(self, request: bytes) -> None:
        """Send the requests of one round."""
        before = self.process.cpu_seconds()
        waits = await one_by_one(self.caller, request, REQUESTS)
        self.cpu.append((self.process.cpu_seconds() - before) / REQUESTS)
        self.waits.append(statistics.median(waits.seconds))
        self.all_waits += waits.seconds


@contextlib.asynccontextmanager
async def gateway(share: float, backend: int, folder: Path) -> AsyncIterator[Side]:
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
    log = folder / f"gateway-{share}.log"
    with running([PYTHON, "-m", "app"], log=log, environment=environment) as process:
        await asyncio.to_thread(
            wait_until, lambda: answers(f"http://127.0.0.1:{port}/readyz"), process, pause=0.1
        )
        caller = Caller(port)
        try:
            yield Side(port, process, caller)
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


def report(sides: dict[float, Side]) -> None:
    """Print a table; ratios are against the side without shadow mode."""
    base = sides[SHARES[0]]
    head = f"{'share':>6} {'median':>9} {'ratio (95%)':>26} {'p99':>9} {'CPU':>9} {'ratio (95%)':>24}"
    print(f"{head} {'seen':>6} {'left out':>9}")
    for share, side in sides.items():
        low, middle, high = ratio(side.waits, base.waits)
        cpu_low, cpu, cpu_high = ratio(side.cpu, base.cpu)
        p99 = statistics.quantiles(side.all_waits, n=100)[98]
        wait = f"{statistics.median(side.all_waits) * 1e3:6.2f} ms {middle:9.4f} ({low:.4f} – {high:.4f})"
        work = f"{statistics.median(side.cpu) * 1e3:6.2f} ms {cpu:7.3f} ({cpu_low:.3f} – {cpu_high:.3f})"
        seen, left_out = compared(side.port)
        print(f"{share:6.0%} {wait} {p99 * 1e3:6.2f} ms {work} {seen:>6} {left_out:>9}")


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shadow_cost", description=__doc__)
    parser.add_argument("--milliseconds", type=float, default=20.0, help="what the model server takes")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--other-size", action="store_true", help="the second version takes another input")
    options = parser.parse_args()
    picture = encoded(quadrants(640, 480), quality=85)
    request = upload(PREDICT, [picture], token=TOKEN)
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        command = [PYTHON, "-m", "benchmarks.backends.two_versions", f"--port={port}"]
        command += [
            f"--milliseconds={options.milliseconds}",
            f"--candidate-side={160 if options.other_size else 224}",
        ]
        async with contextlib.AsyncExitStack() as stack:
            backend = stack.enter_context(running(command, log=folder / "backend.log"))
            wait_until(lambda: listens(port), backend)
            sides = {share: await stack.enter_async_context(gateway(share, port, folder)) for share in SHARES}
            orders = list(itertools.permutations(SHARES))
            for number in range(options.rounds + 1):
                # Every order in turn, so that each comes after each other as often.
                for share in orders[number % len(orders)]:
                    await sides[share].round(request)
                    # What shadow mode still does is this side's, and must not fall into the next one's time.
                    await asyncio.sleep(0.05 + 2 * options.milliseconds / 1000)
                if number == 0:
                    # The first round only warms up.
                    for side in sides.values():
                        for values in (side.waits, side.cpu, side.all_waits):
                            values.clear()
            report(sides)
    print(
        f"{options.rounds} rounds of {REQUESTS} requests a side, one at a time; the model server answers after "
        f"{options.milliseconds:g} ms",
        file=sys.stderr,
    )


if __name__ == "__main__":
    asyncio.run(main())
