"""The embedded model server under 1, 4, 16 and 64 callers, with batching and without, for ready-made tensors.

    python -m benchmarks.model_server_load --model models/sport_classifier

Both servers run at once, and are asked in turn; their configuration is serving_config/batching.config, and none.
"""

import argparse
import contextlib
import statistics
import tempfile
from pathlib import Path

import numpy as np
import uvloop

from benchmarks.support.direct import Direct, direct, ready_request
from benchmarks.support.processes import ROOT, Measured
from benchmarks.support.report import Report
from benchmarks.support.services import real_backend_process

CALLERS = (1, 4, 16, 64)


async def run(options: argparse.Namespace) -> None:
    """Measure and write the page."""
    report = Report("The model server under load")
    ready = ready_request(options.side)
    models = {"sport_classifier": options.model.resolve()}
    ways = {"batching": ROOT / "serving_config" / "batching.config", "none": None}
    async with contextlib.AsyncExitStack() as stack:
        sides: dict[str, tuple[Direct, Measured]] = {}
        for name, batching in ways.items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            target, process = stack.enter_context(real_backend_process(folder, models, batching=batching))
            sides[name] = (await stack.enter_async_context(direct(target)), process)
        rows = []
        for count in CALLERS:
            found: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in ways}
            failed = dict.fromkeys(ways, 0)
            for _ in range(options.rounds):
                for name, (channel, process) in sides.items():
                    before = process.cpu_seconds()
                    waits = await channel.closed_loop(ready, callers_at_once=count, seconds=options.seconds)
                    answered = max(1, len(waits.seconds))
                    p50, p99 = 1000 * np.percentile(waits.seconds or [0.0], [50, 99])
                    cpu = 1000 * (process.cpu_seconds() - before) / answered
                    found[name].append((answered / waits.wall, cpu, float(p50), float(p99)))
                    failed[name] += waits.failed
            for name, runs in found.items():
                speed, cpu, p50, p99 = (statistics.median(column) for column in zip(*runs, strict=True))
                cells = [f"{speed:.1f}", f"{cpu:.1f} ms", f"{p50:.0f} ms", f"{p99:.0f} ms", str(failed[name])]
                rows.append([str(count), name, *cells])
        report.table(["callers", "batching", "pictures/s", "CPU a picture", "p50", "p99", "refused"], rows)
    report.write(options.out)


def main() -> None:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_server_load", description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "sport_classifier")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("model_server.html"))
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
