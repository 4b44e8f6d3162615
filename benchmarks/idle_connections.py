"""What ten thousand connections cost on which nobody says anything, and whether others are still answered.

    python -m benchmarks.idle_connections

Once with the default bound on connections, and once with one that lets all of them stay. Needs 11,000 open files.
"""

import argparse
import asyncio
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from app.open_files import allow_open_files
from tests.support.backend_process import running_backend
from tests.support.gateway_process import GatewayProcess, gateway_process

CONNECTIONS = 10_000
BOUNDS = (2_000, 12_000)


async def measure(folder: Path, target: str, bound: int) -> None:
    """Open them all before a new gateway and print a line."""
    async with gateway_process(target, folder, max_connections=bound, header_timeout_seconds=120) as gateway:
        await gateway.until_ready()
        process = psutil.Process(gateway.process.pid)
        before, health = process.memory_info().rss, []
        with ExitStack() as stack:
            for number in range(CONNECTIONS):
                stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), timeout=10))
                if number % 200 == 0:
                    asked = time.monotonic()
                    await gateway.healthy()
                    health.append(time.monotonic() - asked)
            async with asyncio.timeout(60):
                while await seen(gateway) < CONNECTIONS:  # noqa: ASYNC110 - the gateway offers no event
                    await asyncio.sleep(0.05)
            grown = process.memory_info().rss - before
            kept = (await gateway.metrics()).value("connections")
        health.sort()
        print(
            f"{bound:9} {kept:6.0f} {grown / 1e6:9.1f} MB {grown / kept / 1e3:9.1f} kB "
            f"{health[len(health) // 2] * 1e3:10.1f} ms {health[-1] * 1e3:8.1f} ms"
        )


async def seen(gateway: GatewayProcess) -> float:
    """How many connections the gateway has seen: those that it keeps, and those that made room."""
    found = await gateway.metrics()
    return found.value("connections") + found.value("connections_ended_total", reason="made_room")


async def main() -> None:
    """Measure both bounds."""
    argparse.ArgumentParser(prog="python -m benchmarks.idle_connections", description=__doc__).parse_args()
    allow_open_files(CONNECTIONS + 1000)
    print(f"{'bound':>9} {'kept':>6} {'memory':>12} {'each':>12} {'healthz p50':>13} {'max':>11}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_backend(folder) as backend:
            for bound in BOUNDS:
                await measure(folder, backend.target, bound)
    print(f"{CONNECTIONS} connections opened", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main())
