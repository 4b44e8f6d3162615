"""What metrics, logs and traces cost a request: the gateway with each and without, turn and turn about in one run.

    python -m benchmarks.metrics_cost

Each side is a gateway process of its own in front of the tests' fake model server, which answers at once. One
request at a time goes to each in turn, so that whatever else the machine does meets all sides alike. Two figures are
taken: the CPU time that the process spent, which a busy machine distorts little, and the time that the caller waited.
The same is done for a document of the catalogue, the cheapest answer there is, where the relative cost is highest.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from tests.support.collector import collecting
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import MODEL, PREDICT, TOKEN
from tests.support.pictures import encoded, quadrants
from tests.support.processes import free_port, listens, running_module, wait_until

ROUNDS = 15
REQUESTS = 40

QUIET = {"SPORTVISION_LOG_LEVEL": "warning"}
TRACING = {"SPORTVISION_TRACING": "true", "SPORTVISION_METRICS": "false", **QUIET}
SIDES = {
    "nothing": {"SPORTVISION_METRICS": "false", **QUIET},
    "metrics": {"SPORTVISION_METRICS": "true", **QUIET},
    "metrics and JSON logs": {"SPORTVISION_METRICS": "true", "SPORTVISION_LOG_FORMAT": "json"},
    "traces, of no request": {**TRACING, "SPORTVISION_TRACING_SAMPLE_RATIO": "0"},
    "traces, of one in ten": {**TRACING, "SPORTVISION_TRACING_SAMPLE_RATIO": "0.1"},
    "traces, of every request": {**TRACING, "SPORTVISION_TRACING_SAMPLE_RATIO": "1"},
}


class Side:
    """One gateway process."""

    def __init__(self, process: int, client: httpx.AsyncClient) -> None:
        self._process = process
        self._client = client
        self._spent = self._cpu_seconds()
        self.cpu: list[float] = []
        self.waited: list[float] = []

    async def ask(self, method: str, path: str, picture: bytes | None) -> None:
        """Send one request after the other, and note what one took on average and in the median."""
        files = None if picture is None else {"file": picture}
        waited = []
        for _ in range(REQUESTS):
            started = time.perf_counter()
            answer = await self._client.request(method, path, files=files)
            waited.append(time.perf_counter() - started)
            answer.raise_for_status()
        # From turn to turn: traces are sent whenever the time has come.
        before, self._spent = self._spent, self._cpu_seconds()
        self.cpu.append((self._spent - before) / REQUESTS)
        self.waited.append(statistics.median(waited))

    def _cpu_seconds(self) -> float:
        # In nanoseconds by the scheduler (Linux); the usual figures have a grain of 10 ms.
        tasks = Path("/proc", str(self._process), "task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@contextlib.asynccontextmanager
async def running(changes: dict[str, str], target: str, log: Path) -> AsyncIterator[Side]:
    """Run a gateway with these settings."""
    port = free_port()
    environment = {
        "SPORTVISION_TOKENS": TOKEN,
        "SPORTVISION_PORT": str(port),
        "SPORTVISION_MODEL_SERVER": target,
        # The look at the versions is not what is measured.
        "SPORTVISION_MODEL_REFRESH_SECONDS": "60",
        **changes,
    }
    with running_module("app", log=log, environment=environment) as process:
        await asyncio.to_thread(wait_until, "gateway", lambda: listens(port), process, log)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": TOKEN}, timeout=60, trust_env=False
        ) as client:
            yield Side(process.pid, client)


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median over the rounds, each against the same round's other side."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def report(what: str, sides: dict[str, Side]) -> None:
    """Print a table; ratios are against the first side."""
    base = next(iter(sides.values()))
    print(f"{what:32} {'CPU a request':>14} {'ratio':>7} {'wait':>10} {'ratio':>7}")
    for name, side in sides.items():
        cpu, waited = statistics.median(side.cpu), statistics.median(side.waited)
        cpu_ratio, wait_ratio = ratio(side.cpu, base.cpu), ratio(side.waited, base.waited)
        print(f"{name:32} {cpu * 1e6:11.0f} µs {cpu_ratio:7.3f} {waited * 1e3:7.2f} ms {wait_ratio:7.3f}")


async def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(prog="python -m benchmarks.metrics_cost", description=__doc__).parse_args()
    picture = encoded(quadrants(640, 480), quality=85)
    cases = {
        f"picture of {len(picture) / 1000:.0f} kB": ("POST", PREDICT, picture),
        "catalogue, one sport": ("GET", "/sports/1", None),
    }
    with tempfile.TemporaryDirectory() as folder:
        async with FakeBackend() as backend, contextlib.AsyncExitStack() as stack:
            collector = stack.enter_context(collecting())
            sink = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"}
            backend.add_version(MODEL, 1, height=224, width=224)
            for what, (method, path, content) in cases.items():
                sides = {
                    name: await stack.enter_async_context(
                        running(
                            changes | sink,
                            backend.target,
                            Path(folder) / f"{what}-{name}.log".replace(" ", "-"),
                        )
                    )
                    for name, changes in SIDES.items()
                }
                for number in range(ROUNDS + 1):
                    # Each goes first as often as the others.
                    names = list(SIDES)
                    for name in names[number % len(names) :] + names[: number % len(names)]:
                        await sides[name].ask(method, path, content)
                    if number == 0:
                        # The first round only warms up.
                        for side in sides.values():
                            side.cpu.clear()
                            side.waited.clear()
                report(what, sides)
    print(f"{ROUNDS} rounds of {REQUESTS} requests, one at a time", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main())
