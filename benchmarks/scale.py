"""What happens as work grows: more callers, larger pictures, more pictures in a request, more workers.

    python -m benchmarks.scale --out scale.html

The gateway stands before a model server that answers at once, so that the knee is the gateway's. CPU time is the
operating system's, of all its processes; the callers share the machine with it, so pictures a second are a floor.
"""

import argparse
import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import uvloop

from benchmarks.support.load import closed_loop, upload
from benchmarks.support.pictures import photo
from benchmarks.support.plots import Scale, line_plot
from benchmarks.support.report import Report
from benchmarks.support.services import PREDICT, TOKEN, Service, instant_backend, ours

CALLERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# Width, height and quality: from some 10 kB to some 20 MB.
PICTURES = (
    (190, 142, 90),
    (640, 480, 90),
    (1280, 960, 90),
    (4032, 3024, 90),
    (4032, 3024, 98),
    (7000, 5250, 98),
)
IN_A_REQUEST = (1, 2, 4, 8, 16, 32, 64)
WORKERS = (1, 2, 4)


class Point:
    """One load and what came of it.

    Attributes:
        cpu: Milliseconds of CPU time a picture.
        pictures: Pictures a second.
        p50: Milliseconds.
        p99: Milliseconds.
        failed: How many requests were refused or failed.
    """

    def __init__(self, seconds: list[float], failed: int, wall: float, cpu: float, pictures: int) -> None:
        answered = max(1, len(seconds)) * pictures
        self.cpu = 1000 * cpu / answered
        self.pictures = len(seconds) * pictures / wall
        self.p50, self.p99 = (1000 * float(np.percentile(seconds or [0.0], part)) for part in (50, 99))
        self.failed = failed

    def cells(self) -> list[str]:
        """For a table."""
        waits = [f"{self.p50:.1f} ms", f"{self.p99:.1f} ms"]
        return [f"{self.cpu:.2f} ms", f"{self.pictures:.0f}", *waits, str(self.failed)]


HEADS = ["CPU a picture", "pictures/s", "p50", "p99", "refused"]


async def load(service: Service, request: bytes, at_once: int, seconds: float, pictures: int = 1) -> Point:
    """Load the gateway, after a moment that does not count."""
    await closed_loop(service.port, request, callers_at_once=at_once, seconds=seconds / 4)
    before = service.process.cpu_seconds()
    waits = await closed_loop(service.port, request, callers_at_once=at_once, seconds=seconds)
    cpu = service.process.cpu_seconds() - before
    return Point(waits.seconds, waits.failed, waits.wall, cpu, pictures)


async def by_callers(report: Report, service: Service, seconds: float) -> None:
    """More callers."""
    request = upload(PREDICT, [photo(299, 299)], token=TOKEN)
    found = {count: await load(service, request, count, seconds) for count in CALLERS}
    report.heading("Callers at once, 299×299")
    report.table(["callers", *HEADS], [[str(count), *point.cells()] for count, point in found.items()])
    for what, name in (("pictures", "pictures/s"), ("p99", "p99, ms")):
        line = {name: [(float(count), getattr(point, what)) for count, point in found.items()]}
        report.plot(line_plot(line, x=Scale("callers", logarithmic=True), y=Scale(name), title=name))


async def by_size(report: Report, service: Service, seconds: float) -> None:
    """Larger pictures."""
    rows, line = [], []
    for width, height, quality in PICTURES:
        picture = await asyncio.to_thread(photo, width, height, quality)
        point = await load(service, upload(PREDICT, [picture], token=TOKEN), 2, seconds)
        rows.append([f"{len(picture) / 1000:,.0f} kB, {width}×{height}", *point.cells()])
        line.append((len(picture) / 1000, point.cpu))
    report.heading("Size of the picture, 2 callers")
    report.table(["picture", *HEADS], rows)
    axes = {"x": Scale("kB", logarithmic=True), "y": Scale("CPU a picture, ms", logarithmic=True)}
    report.plot(line_plot({"CPU": line}, title="CPU by size", **axes))


async def by_batch(report: Report, service: Service, seconds: float) -> None:
    """More pictures in a request."""
    rows, line = [], []
    for count in IN_A_REQUEST:
        request = upload(PREDICT + "batch/", [photo(299, 299)] * count, token=TOKEN, name="files")
        point = await load(service, request, 2, seconds, count)
        rows.append([str(count), *point.cells()])
        line.append((float(count), point.cpu))
    report.heading("Pictures in a request, 299×299, 2 callers")
    report.table(["pictures", *HEADS], rows)
    axes = {"x": Scale("pictures in a request", logarithmic=True), "y": Scale("CPU a picture, ms")}
    report.plot(line_plot({"CPU": line}, title="CPU by pictures in a request", **axes))


@contextmanager
def gateway(folder: Path, target: str, workers: int) -> Iterator[Service]:
    """The gateway with bounds that do not hide the knee."""
    settings = {"max_in_flight": "512", "max_batch_pictures": "64", "log_level": "warning"}
    with ours(folder, target, workers=workers, name=f"workers-{workers}", **settings) as service:
        yield service


async def by_workers(report: Report, folder: Path, target: str, seconds: float, rounds: int) -> None:
    """More workers, all of them running, each asked in turn."""
    request = upload(PREDICT, [photo(299, 299)], token=TOKEN)
    with contextlib.ExitStack() as stack:
        services = {count: stack.enter_context(gateway(folder, target, count)) for count in WORKERS}
        points: dict[int, list[Point]] = {count: [] for count in WORKERS}
        for _ in range(rounds):
            for count, service in services.items():
                points[count].append(await load(service, request, 16, seconds))
        rows = []
        for count, service in services.items():
            speed = statistics.median(point.pictures for point in points[count])
            cpu = statistics.median(point.cpu for point in points[count])
            rows.append(
                [str(count), f"{speed:.0f}", f"{cpu:.2f} ms", f"{service.process.memory()[0]:.0f} MB"]
            )
    report.heading("Worker processes on one port, 299×299, 16 callers")
    report.table(["workers", "pictures/s", "CPU a picture", "memory (PSS)"], rows)


async def run(options: argparse.Namespace) -> None:
    """Measure everything and write the page."""
    report = Report("The gateway as work grows")
    with tempfile.TemporaryDirectory() as name, instant_backend(Path(name), options.side) as target:
        with gateway(Path(name), target, 1) as service:
            await by_callers(report, service, options.seconds)
            await by_size(report, service, options.seconds)
            await by_batch(report, service, options.seconds)
        await by_workers(report, Path(name), target, options.seconds, options.rounds)
    report.write(options.out)


def main() -> None:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("scale.html"))
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each load lasts")
    parser.add_argument("--rounds", type=int, default=3)
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
