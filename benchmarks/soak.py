"""The whole service under load for a long time: does memory stay flat, and does anything fail?

    python -m benchmarks.soak --minutes 20 --rate 8 --out soak.html

The gateway stands before the embedded model server with the shipped sport model. Requests come at a fixed rate and
are mixed: pictures small and large, batches, pictures that cannot be read, and callers who hang up in the midst of
their upload. Memory is what all processes of a side have for themselves (USS). Flat means: the median of the last
quarter of the time lies no more than --tolerance above that of the second quarter; the first is for warming up.
"""

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from benchmarks.support.load import Caller, upload
from benchmarks.support.pictures import photo
from benchmarks.support.plots import Scale, line_plot
from benchmarks.support.processes import ROOT, Measured
from benchmarks.support.report import Report
from benchmarks.support.services import PREDICT, TOKEN, ours, real_backend_process

BATCH = PREDICT + "batch/"


@dataclass(slots=True)
class Soaked:
    """What came of it."""

    answered: int = 0
    hung_up: int = 0
    wrong: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    memory: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def mixture() -> list[tuple[float, bytes, int]]:
    """Requests with their weights, and the status that each must have."""
    small, middle, large = photo(299, 299), photo(1280, 960), photo(4032, 3024)
    return [
        (0.60, upload(PREDICT, [small], token=TOKEN), 200),
        (0.22, upload(PREDICT, [middle], token=TOKEN), 200),
        (0.05, upload(PREDICT, [large], token=TOKEN), 200),
        (0.05, upload(BATCH, [small, b"no picture", middle, small], token=TOKEN, name="files"), 200),
        (0.04, upload(PREDICT, [middle[: len(middle) // 2]], token=TOKEN), 422),
        (0.02, upload(PREDICT, [b"%PDF-1.7"], token=TOKEN), 415),
        (0.02, upload(PREDICT, [small], token="not-a-known-token-at-all"), 401),
    ]


async def hang_up(port: int, request: bytes) -> None:
    """Send half a request and go away."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request[: len(request) // 2])
    await writer.drain()
    writer.close()


async def load(port: int, rate: float, end: float, found: Soaked) -> None:
    """Send at the rate until the end."""
    dice = random.Random(0)
    kinds = mixture()
    idle: list[Caller] = []
    asked: set[asyncio.Task[None]] = set()

    async def ask(request: bytes, expect: int) -> None:
        caller = idle.pop() if idle else Caller(port)
        started = time.perf_counter()
        try:
            status, body = await caller.exchange(request)
        except (OSError, asyncio.IncompleteReadError) as error:
            found.wrong.append(repr(error))
            await caller.close()
            return
        found.waits.append(time.perf_counter() - started)
        if status == expect:
            found.answered += 1
        else:
            found.wrong.append(f"{status} in place of {expect}: {body[:200]!r}")
        idle.append(caller)

    begun, number = time.perf_counter(), 0
    while (due := begun + number / rate) < end:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        number += 1
        if dice.random() < 0.02:
            found.hung_up += 1
            await hang_up(port, kinds[1][1])
            continue
        (_, request, expect) = dice.choices(kinds, [weight for weight, _, _ in kinds])[0]
        task = asyncio.create_task(ask(request, expect))
        asked.add(task)
        task.add_done_callback(asked.discard)
    await asyncio.gather(*asked)
    for caller in idle:
        await caller.close()


async def watch(processes: dict[str, Measured], end: float, pause: float, found: Soaked) -> None:
    """Note the memory now and then."""
    begun = time.perf_counter()
    while (now := time.perf_counter()) < end:
        for name, process in processes.items():
            found.memory.setdefault(name, []).append(((now - begun) / 60, process.private_memory()))
        await asyncio.sleep(pause)


def growth(samples: list[tuple[float, float]]) -> tuple[float, float]:
    """Megabytes: the medians of the second quarter and of the last."""
    quarter = max(1, len(samples) // 4)
    sizes = [size for _, size in samples]
    return statistics.median(sizes[quarter : 2 * quarter] or sizes), statistics.median(sizes[-quarter:])


def show(report: Report, found: Soaked, tolerance: float) -> bool:
    """Tables and the plot; whether all is well."""
    flat = True
    rows = []
    for name, samples in found.memory.items():
        before, after = growth(samples)
        flat = flat and after <= before * (1 + tolerance)
        rows.append([name, f"{before:.0f} MB", f"{after:.0f} MB", f"{100 * (after / before - 1):+.1f}%"])
    report.table(["memory (USS)", "second quarter", "last quarter", "change"], rows)
    waits = sorted(found.waits)
    report.table(
        ["answered as they should be", "hung up", "wrong", "p50", "p99"],
        [
            [
                str(found.answered),
                str(found.hung_up),
                str(len(found.wrong)),
                f"{1000 * statistics.median(waits):.0f} ms",
                f"{1000 * waits[int(0.99 * len(waits))]:.0f} ms",
            ]
        ],
    )
    for wrong in found.wrong[:10]:
        report.note(wrong)
    axes = {"x": Scale("minutes"), "y": Scale("USS, MB")}
    report.plot(line_plot(found.memory, title="Memory over time", **axes))
    return flat and not found.wrong


async def run(options: argparse.Namespace) -> bool:
    """Soak it."""
    report = Report(f"{options.minutes:g} minutes at {options.rate:g} requests a second")
    found = Soaked()
    models = {"sport_classifier": options.model.resolve()}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        batching = ROOT / "serving_config" / "batching.config"
        target, model_server = stack.enter_context(real_backend_process(folder, models, batching=batching))
        service = stack.enter_context(
            ours(folder, target, workers=options.workers, product_model="", log_level="warning")
        )
        end = time.perf_counter() + 60 * options.minutes
        processes = {"gateway": service.process, "model server": model_server}
        await asyncio.gather(
            load(service.port, options.rate, end, found),
            watch(processes, end, max(1.0, 0.3 * options.minutes), found),
        )
        log = service.process.log.read_text()
    well = show(report, found, options.tolerance)
    report.note(f"The gateway's log has {len(log.splitlines())} lines at level warning and above.")
    if log:
        print(log[:3000])
    report.write(options.out)
    return well


def main() -> int:
    """Read the flags and run; 1 where memory grew or anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=float, default=8, help="requests a second")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "sport_classifier")
    parser.add_argument("--out", type=Path, default=Path("soak.html"))
    return 0 if uvloop.run(run(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
