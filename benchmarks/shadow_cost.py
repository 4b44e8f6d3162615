"""What shadow mode costs a caller: with it and without, turn and turn about, in one and the same process.

    python -m benchmarks.shadow_cost [--milliseconds 20] [--sets 4] [--rounds 30] [--other-size]

Two processes of the same program are never quite alike: they differ by more than what is looked for here. So a
gateway is compared with itself. Shadow mode follows answers of the stable version only; requests that ask for the
canary by the header X-Model-Label are answered without it, by the same model server after the same fixed time: one of
TensorFlow would be computed, on cores that the gateway would then lack. A gateway without shadow mode shows what the
header itself and chance make out.

One caller sends one picture after the other, so the second version's work for one picture falls into the next one's
time: the hardest case there is. With --other-size the second version takes another input, so its pictures are
decoded anew.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.support.load import Caller, one_by_one, upload
from benchmarks.support.processes import PYTHON, Measured, answers, fetched, running, wait_until
from tests.support.gateway import PREDICT, TOKEN
from tests.support.pictures import encoded, quadrants
from tests.support.processes import free_port, listens

# Few, so that the sides of a round meet the same machine, whatever else it does.
REQUESTS = 10
SHARES = (0.0, 0.1, 1.0)
LABELS = ("canary", "stable")


@dataclass(slots=True)
class Side:
    """What was measured of one label of one kind of gateway, one value a round."""

    waits: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    all_waits: list[float] = field(default_factory=list)


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
    lines = fetched(f"http://127.0.0.1:{port}/metrics").decode().splitlines()

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


Sides = dict[tuple[float, str], Side]


def report(sides: Sides, counts: Counter[tuple[float, str]]) -> None:
    """Print a table; ratios are of the same gateway with shadow mode and without."""
    print(
        f"{'share':>6} {'without':>10} {'with':>10} {'ratio (95%)':>26} {'p99, ms':>16} {'CPU (95%)':>24} {'seen':>6}"
    )
    for share in SHARES:
        off, on = (sides[share, label] for label in LABELS)
        low, middle, high = ratio(on.waits, off.waits)
        cpu_low, cpu, cpu_high = ratio(on.cpu, off.cpu)
        medians = [f"{statistics.median(one.all_waits) * 1e3:7.2f} ms" for one in (off, on)]
        tails = [f"{statistics.quantiles(one.all_waits, n=100)[98] * 1e3:.0f}" for one in (off, on)]
        seen, left_out = counts[share, "seen"], counts[share, "left out"]
        print(
            f"{share:6.0%} {' '.join(medians)} {middle:9.4f} ({low:.4f} – {high:.4f}) {' / '.join(tails):>16} "
            f"{cpu:7.3f} ({cpu_low:.3f} – {cpu_high:.3f}) {seen:>6}"
            + (f", {left_out} left out" if left_out else "")
        )


async def one_set(
    rounds: int, pause: float, backend: int, sides: Sides, counts: Counter[tuple[float, str]], folder: Path
) -> None:
    """Measure with gateways of their own."""
    picture = encoded(quadrants(640, 480), quality=85)
    plain = upload(PREDICT, [picture], token=TOKEN)
    requests = {
        label: plain.replace(b"\r\n", f"\r\nX-Model-Label: {label}\r\n".encode(), 1) for label in LABELS
    }
    async with contextlib.AsyncExitStack() as stack:
        gateways = {
            share: await stack.enter_async_context(gateway(share, backend, folder / f"{share}.log"))
            for share in SHARES
        }
        for turn in range(rounds + 1):
            for share, one in gateways.items():
                # Each goes first as often as the other. The first round only warms up.
                for label in LABELS if turn % 2 else reversed(LABELS):
                    await one.round(requests[label], sides[share, label] if turn else Side())
                    # What shadow mode still does belongs to this label, and must not fall into the next one's time.
                    await asyncio.sleep(pause)
        for share, one in gateways.items():
            seen, left_out = await asyncio.to_thread(compared, one.port)
            counts[share, "seen"] += seen
            counts[share, "left out"] += left_out


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shadow_cost", description=__doc__)
    parser.add_argument("--milliseconds", type=float, default=20.0, help="what the model server takes")
    parser.add_argument("--sets", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=30, help="in each set")
    parser.add_argument("--other-size", action="store_true", help="the second version takes another input")
    options = parser.parse_args()
    sides = {(share, label): Side() for share in SHARES for label in LABELS}
    counts: Counter[tuple[float, str]] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        side = 160 if options.other_size else 224
        command = [PYTHON, "-m", "benchmarks.backends.two_versions", f"--port={port}"]
        command += [f"--milliseconds={options.milliseconds}", f"--candidate-side={side}"]
        pause = 0.05 + 2 * options.milliseconds / 1000
        with running(command, log=folder / "backend.log") as backend:
            wait_until(lambda: listens(port), backend)
            for _ in range(options.sets):
                await one_set(options.rounds, pause, port, sides, counts, folder)
    report(sides, counts)
    print(
        f"{options.sets} sets of {options.rounds} rounds of {REQUESTS} requests with and without, one at a time; "
        f"the model server answers after {options.milliseconds:g} ms",
        file=sys.stderr,
    )


if __name__ == "__main__":
    asyncio.run(main())
