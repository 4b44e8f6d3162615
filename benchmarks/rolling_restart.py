"""Every process is replaced, one after the other, under steady load: how many requests fail?

    python -m benchmarks.rolling_restart

Two gateways before two of the tests' fake model servers, and before the gateways a balancer that asks `/readyz` twice
a second and never sends a request twice. As in a rolling update, a new gateway is ready before an old one gets its
SIGTERM. A model server gets SIGTERM, drops what it is doing, as TensorFlow Serving does, and comes back on its port;
so this is harder than on Kubernetes, where `preStop` lets it finish.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.support.arrivals import steady
from benchmarks.support.load import upload
from tests.support.backend_process import running_backend
from tests.support.balancer import Balancer
from tests.support.gateway import PREDICT, TOKEN
from tests.support.gateway_process import gateway_process
from tests.support.load import Load
from tests.support.pictures import encoded, quadrants

RATE = 60.0
ROUNDS = 3
LOOK_SECONDS = 0.5
# Two looks of the balancer's, and some.
DRAIN_SECONDS = 2.0
FLAGS = ("--seconds=0.02", "--places=8", "--side=224")


async def main() -> None:
    """Restart all, several times, and print what became of the requests."""
    argparse.ArgumentParser(prog="python -m benchmarks.rolling_restart", description=__doc__).parse_args()
    request = upload(PREDICT, [encoded(quadrants(640, 480), quality=85)], token=TOKEN)
    load = Load()
    stopped = {"gateways": 0, "model servers": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            backends = [stack.enter_context(running_backend(folder, *FLAGS)) for _ in range(2)]
            target = "ipv4:" + ",".join(backend.target for backend in backends)

            async def new_gateway() -> None:
                gateway = await stack.enter_async_context(
                    gateway_process(target, folder, drain_seconds=DRAIN_SECONDS)
                )
                await gateway.until_ready()
                balancer.gateways.append(gateway)
                await balancer.look()

            async def replace_gateway() -> None:
                await new_gateway()
                old = balancer.gateways[0]
                old.process.terminate()
                await asyncio.to_thread(old.process.wait)
                balancer.gateways.remove(old)
                stopped["gateways"] += 1

            async def replace_backend(number: int) -> None:
                old = backends[number]
                old.process.terminate()
                await asyncio.to_thread(old.process.wait)
                again = running_backend(folder, *FLAGS, port=old.port)
                backends[number] = await asyncio.to_thread(stack.enter_context, again)
                # The gateways' connections come back within two seconds (`max_reconnect_backoff`).
                await asyncio.sleep(3)
                stopped["model servers"] += 1

            steps: list[Callable[[], Awaitable[None]]] = [
                replace_gateway,
                lambda: replace_backend(0),
                replace_gateway,
                lambda: replace_backend(1),
            ]
            balancer = Balancer([], LOOK_SECONDS)
            for _ in range(2):
                await new_gateway()
            done = asyncio.Event()

            async def keep_sending() -> None:
                while not done.is_set():
                    await steady(lambda: balancer.choose().port, request, rate=RATE, seconds=1, load=load)

            async with balancer, asyncio.TaskGroup() as group:
                group.create_task(keep_sending())
                for number in range(ROUNDS * len(steps)):
                    await steps[number % len(steps)]()
                done.set()
    print(f"restarted: {stopped}")
    print(f"{len(load.outcomes)} sent, {load.failed} failed {dict(load.by_kind)}")
    waits = ", ".join(f"p{percent} {load.percentile(percent) * 1e3:.1f}" for percent in (50, 99, 100))
    print(f"waits in ms: {waits}")
    print(f"{RATE:g} requests a second", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main())
