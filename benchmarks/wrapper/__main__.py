"""The gateway against the design that it replaces, in one run on one machine: the command behind docs/speed.md.

    python -m benchmarks.wrapper --out wrapper.html

Both stand before a model server that answers at once, so that the wrapper's own cost shows, and then before the real
model. Requests go to both sides turn and turn about, so that whatever else the machine does meets both alike. CPU
time is the operating system's, of all processes of a side.
"""

import argparse
import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import uvloop

from benchmarks.support.pictures import SIZES, photo
from benchmarks.support.plots import Scale, line_plot
from benchmarks.support.processes import ROOT
from benchmarks.support.report import Report
from benchmarks.support.services import Service, floor, instant_backend, old_design, ours, real_backend
from benchmarks.wrapper.cost import FLOOR_PATHS, Cost, measure_cost
from benchmarks.wrapper.latency import Arrivals, measure_added, measure_arrivals
from benchmarks.wrapper.throughput import measure_throughput

OURS, OLD = "ours", "old design"
PARTS = ("starts", "added", "cost", "arrivals", "real")
# Requests a second for each size: light, and near what one process of the old design can do.
RATES = {(299, 299): (20, 60, 120, 180), (1280, 960): (10, 25, 40), (4032, 3024): (1, 3, 5)}


def show_starts(report: Report, starts: dict[str, list[tuple[float, float, float]]]) -> None:
    """Time to ready and memory."""
    report.heading("Start and memory, one worker")
    medians = {
        name: [statistics.median(column) for column in zip(*runs, strict=True)]
        for name, runs in starts.items()
    }
    rows = [
        [name, f"{ready:.2f} s", f"{pss:.0f} MB", f"{rss:.0f} MB"]
        for name, (ready, pss, rss) in medians.items()
    ]
    rows.append(
        [
            "ratio",
            f"{medians[OLD][0] / medians[OURS][0]:.1f}",
            f"{medians[OLD][1] / medians[OURS][1]:.1f}",
            f"{medians[OLD][2] / medians[OURS][2]:.1f}",
        ]
    )
    report.table(["", "time to ready", "PSS", "RSS"], rows)


def show_cost(report: Report, found: dict[str, dict[str, Cost]], at_once: int) -> None:
    """CPU time a request."""
    report.heading(f"CPU time a request, instant model server, callers: {at_once}")
    rows = []
    for size, costs in found.items():
        mine, old = costs[OURS], costs[OLD]
        rounds = [theirs / own for theirs, own in zip(old.cpu, mine.cpu, strict=True)]
        parts = [f"{costs[f'floor{path}'].cpu_ms:.2f}" for path in FLOOR_PATHS]
        rows.append(
            [
                size,
                f"{old.cpu_ms:.2f} ms",
                f"{mine.cpu_ms:.2f} ms",
                f"{statistics.median(rounds):.2f}",
                f"{min(rounds):.2f} to {max(rounds):.2f}",
                *parts,
                f"{1000 / old.cpu_ms:.0f}",
                f"{1000 / mine.cpu_ms:.0f}",
            ]
        )
    heads = ["picture", OLD, OURS, "ratio", "over the rounds", "floor: read", "decode", "rpc", "all (ms)"]
    report.table([*heads, f"{OLD}, pictures/s a core", OURS], rows)


def show_arrivals(report: Report, size: str, found: dict[str, list[Arrivals]]) -> None:
    """Waits at fixed rates."""
    rows = []
    for name, measured in found.items():
        rows += [
            [
                name,
                f"{one.rate:g}/s",
                *(f"{wait:.1f} ms" for wait in (one.p50, one.p95, one.p99)),
                str(one.failed),
            ]
            for one in measured
        ]
    report.table([size, "arrivals", "p50", "p95", "p99", "failed"], rows)
    series = {
        f"{name}, {which}": [(one.rate, getattr(one, which)) for one in measured]
        for name, measured in found.items()
        for which in ("p50", "p99")
    }
    axes = {"x": Scale("requests a second"), "y": Scale("wait, ms", logarithmic=True)}
    report.plot(line_plot(series, title=f"Waits by rate, {size}", **axes))


async def against_instant(report: Report, options: argparse.Namespace, folder: Path) -> None:
    """Everything before a model server that answers at once."""
    side = options.side
    with instant_backend(folder, side) as target, contextlib.ExitStack() as stack:
        starts: dict[str, list[tuple[float, float, float]]] = {OURS: [], OLD: []}

        def started(service: Service) -> Service:
            starts[service.name].append((service.ready_seconds, *service.process.memory()))
            return service

        for _ in range(options.starts - 1):
            with ours(folder, target, workers=options.workers) as service:
                started(service)
            with old_design(folder, target, side=side, workers=options.workers) as service:
                started(service)
        sides = {OURS: started(stack.enter_context(ours(folder, target, workers=options.workers)))}
        if "added" in options.parts:
            await show_added(report, sides[OURS], target, side)
        if not {"starts", "cost", "arrivals"} & set(options.parts):
            return
        old = old_design(folder, target, side=side, workers=options.workers)
        sides[OLD] = started(stack.enter_context(old))
        show_starts(report, starts)
        if "cost" in options.parts:
            bare = {"floor": stack.enter_context(floor(folder, target, side=side))}
            for at_once in options.at_once:
                costs = await measure_cost({**sides, **bare}, SIZES, rounds=options.rounds, at_once=at_once)
                show_cost(report, costs, at_once)
            report.table(
                ["memory after that", "PSS", "RSS"],
                [[name, *(f"{size:.0f} MB" for size in one.process.memory())] for name, one in sides.items()],
            )
        if "arrivals" in options.parts:
            report.heading("Waits at fixed arrival rates, instant model server")
            for size in SIZES:
                arrivals = await measure_arrivals(sides, size, RATES[size], seconds=options.seconds)
                show_arrivals(report, f"{size[0]}×{size[1]}", arrivals)


async def show_added(report: Report, service: Service, target: str, side: int) -> None:
    """What the gateway adds to a call."""
    report.heading("What the gateway adds to a plain gRPC call, instant model server, low load")
    rows = []
    for size in SIZES[:2]:
        added = await measure_added(service, target, side=side, size=size)
        waits = (added.direct, added.whole, added.added)
        rows.append([f"{size[0]}×{size[1]}", *(f"{wait:.2f} ms" for wait in waits)])
    report.table(["picture", "gRPC alone, p50", "whole, p50", "added"], rows)


def export_float32(model: Path, folder: Path) -> Path:
    """The newest version once more, with the input that the old design sends."""
    float32 = folder / "models" / "sport_classifier_float32"
    newest = max(model.iterdir(), key=lambda path: int(path.name))
    command = [sys.executable, "-m", "benchmarks.old_design.export", str(newest), str(float32 / "1")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return float32


async def against_real(report: Report, options: argparse.Namespace, folder: Path) -> None:
    """The same two before the real model, which the old design asks in float32."""
    float32 = await asyncio.to_thread(export_float32, options.model, folder)
    models = {"sport_classifier": options.model.resolve(), "sport_classifier_float32": float32}
    batching = ROOT / "serving_config" / "batching.config"
    side = options.side
    with (
        real_backend(folder, models, batching=batching) as target,
        ours(folder, target, workers=options.workers) as mine,
        old_design(
            folder, target, side=side, workers=options.workers, model="sport_classifier_float32"
        ) as old,
    ):
        report.heading("Before the real model")
        size = (299, 299)
        found = await measure_throughput(
            mine,
            target,
            side=side,
            size=size,
            callers_at_once=16,
            rounds=options.rounds,
            seconds=options.seconds,
        )
        report.table(
            ["16 callers, 299×299", "pictures/s"],
            [
                ["model server alone, ready tensors", f"{statistics.median(found.alone):.1f}"],
                ["whole service", f"{statistics.median(found.whole):.1f}"],
                ["share, median of the rounds", f"{found.share:.1%}"],
                ["failed", str(found.failed)],
            ],
        )
        added = await measure_added(mine, target, side=side, size=size, rounds=100)
        report.note(
            f"One caller: gRPC alone {added.direct:.1f} ms, whole service {added.whole:.1f} ms at the median."
        )
        sides = {OURS: mine, OLD: old}
        arrivals = await measure_arrivals(sides, size, options.real_rates, seconds=options.seconds)
        show_arrivals(report, "299×299", arrivals)


async def run(options: argparse.Namespace) -> None:
    """Measure everything and write the page."""
    report = Report("The gateway against the design that it replaces")
    sizes = ", ".join(
        f"{width}×{height} {len(photo(width, height)) / 1000:.0f} kB" for width, height in SIZES
    )
    report.note(f"Pictures: JPEG, quality 90: {sizes}. Model input {options.side}×{options.side}.")
    with tempfile.TemporaryDirectory() as name:
        if set(options.parts) - {"real"}:
            await against_instant(report, options, Path(name))
        if "real" in options.parts:
            await against_real(report, options, Path(name))
    report.write(options.out)


def main() -> None:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wrapper", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("wrapper.html"), help="where the page goes")
    parser.add_argument("--side", type=int, default=224, help="rows and columns of the model's input")
    parser.add_argument("--workers", type=int, default=1, help="processes of each side")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--at-once", type=int, nargs="+", default=[1, 8], help="callers while cost is measured"
    )
    parser.add_argument("--starts", type=int, default=3, help="how often both are started")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each load lasts")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "sport_classifier")
    parser.add_argument("--real-rates", type=float, nargs="+", default=[5, 10, 20])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured")
    options = parser.parse_args()
    uvloop.run(run(options))


if __name__ == "__main__":
    main()
