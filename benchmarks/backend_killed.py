"""What callers notice when one of two model servers is killed by SIGKILL under steady load.

    python -m benchmarks.backend_killed

One gateway process before two processes of the tests' fake model server, each of which takes 20 ms for a picture,
eight at a time. Requests come at a fixed rate, whatever becomes of the earlier ones. In every round one of the two is
killed and, some seconds later, started again; the two take turns.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.support.arrivals import steady
from benchmarks.support.load import upload
from tests.support.backend_process import running_backend
from tests.support.gateway import PREDICT, TOKEN
from tests.support.gateway_process import gateway_process
from tests.support.load import Load
from tests.support.pictures import encoded, quadrants

RATE = 60.0
ROUNDS = 8
SECONDS = 4.0
FLAGS = ("--seconds=0.02", "--places=8", "--side=224")


async def main() -> None:
    """Measure and print a table."""
    argparse.ArgumentParser(prog="python -m benchmarks.backend_killed", description=__doc__).parse_args()
    request = upload(PREDICT, [encoded(quadrants(640, 480), quality=85)], token=TOKEN)
    load = Load()
    killed: list[float] = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        backends = [stack.enter_context(running_backend(folder, *FLAGS)) for _ in range(2)]
        target = "ipv4:" + ",".join(backend.target for backend in backends)
        async with gateway_process(target, folder) as gateway:
            await gateway.until_ready()

            async def kill_in_turn() -> None:
                for number in range(ROUNDS):
                    await asyncio.sleep(SECONDS)
                    victim = backends[number % 2]
                    killed.append(time.monotonic())
                    victim.process.kill()
                    await asyncio.sleep(SECONDS)
                    again = running_backend(folder, *FLAGS, port=victim.port)
                    backends[number % 2] = await asyncio.to_thread(stack.enter_context, again)

            seconds = ROUNDS * 2 * SECONDS
            async with asyncio.TaskGroup() as group:
                group.create_task(kill_in_turn())
                group.create_task(
                    steady(lambda: gateway.port, request, rate=RATE, seconds=seconds, load=load)
                )
            retries = (await gateway.metrics()).value(
                "grpc_retries_total", model="sport_classifier", method="Predict"
            )
    report(load, killed)
    print(f"{retries:.0f} retries of the gateway's; {RATE:g} requests a second", file=sys.stderr)


def report(load: Load, killed: list[float]) -> None:
    """Print the waits in the second after each kill beside those of the seconds before it."""
    before, after = Load(), Load()
    for outcome in load.outcomes:
        for moment in killed:
            if moment - SECONDS / 2 <= outcome.ended < moment:
                before.outcomes.append(outcome)
            elif moment <= outcome.ended < moment + 1:
                after.outcomes.append(outcome)
    print(f"{len(killed)} kills: {len(load.outcomes)} sent, {load.failed} failed {dict(load.by_kind)}")
    print(f"{'wait, ms':34} {'requests':>8} {'p50':>7} {'p99':>7} {'max':>7}")
    for what, part in (("before a kill", before), ("in the second after it", after), ("all", load)):
        waits = "".join(f"{part.percentile(percent) * 1e3:8.1f}" for percent in (50, 99, 100))
        print(f"{what:34} {len(part.outcomes):8}{waits}")
    print(f"added at p99: {(after.percentile(99) - before.percentile(99)) * 1e3:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())
