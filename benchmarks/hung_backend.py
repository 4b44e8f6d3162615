"""What callers notice when a model server hangs, and how soon it is used again when it goes on.

    python -m benchmarks.hung_backend [--servers 2] [--attempts 1]

One gateway process, with its default settings, before one or two processes of the tests' fake model server.
Requests come at a fixed rate, each with `X-Request-Timeout: 2`. In every round one server is stopped (SIGSTOP: its
system still takes connections and data) and, some seconds later, goes on (SIGCONT); or it is killed and started
again.
"""

import argparse
import asyncio
import signal
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.arrivals import steady
from benchmarks.support.load import upload
from tests.support.backend_process import BackendProcess, running_backend
from tests.support.gateway import PREDICT, TOKEN
from tests.support.gateway_process import gateway_process
from tests.support.load import Load, Outcome
from tests.support.pictures import encoded, quadrants

RATE = 30.0
ROUNDS = 5
WELL = 5.0
GONE = 10.0
DEADLINE = 2.0
FLAGS = ("--seconds=0.02", "--places=8", "--side=224")


@dataclass(frozen=True)
class Round:
    """When a server went and came back, by `time.monotonic`."""

    how: str
    gone: float
    back: float


async def take_away(folder: Path, stack: ExitStack, backends: list[BackendProcess]) -> list[Round]:
    """Let the first server go and come back, in both ways in turn."""
    rounds = []
    for number in range(2 * ROUNDS):
        await asyncio.sleep(WELL)
        gone = time.monotonic()
        if number % 2:
            backends[0].process.kill()
            await asyncio.sleep(GONE)
            again = running_backend(folder, *FLAGS, port=backends[0].port)
            backends[0] = await asyncio.to_thread(stack.enter_context, again)
        else:
            backends[0].process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(GONE)
            backends[0].process.send_signal(signal.SIGCONT)
        rounds.append(Round("killed" if number % 2 else "hung", gone, time.monotonic()))
    await asyncio.sleep(WELL)
    return rounds


def report(how: str, rounds: list[Round], load: Load) -> None:
    """Print what became of the requests, and the times until the breaker opened and until answers came again."""
    during: list[Outcome] = []
    opened, recovered = [], []
    for one in rounds:
        part = [outcome for outcome in load.outcomes if one.gone <= outcome.ended < one.back + WELL - 0.1]
        during += [outcome for outcome in part if outcome.ended < one.back]
        refused = [outcome.ended for outcome in part if outcome.what == 503]
        answered = [outcome.ended for outcome in part if outcome.what == 200 and outcome.ended >= one.back]
        if refused:
            opened.append(min(refused) - one.gone)
        if answered:
            recovered.append(min(answered) - one.back)
    what = Load(during)
    late = [outcome.seconds for outcome in during if outcome.what == 504]
    quick = [outcome.seconds for outcome in during if outcome.what == 503]
    good = [outcome.seconds for outcome in during if outcome.what == 200]
    print(
        f"{how}, {len(rounds)} times for {GONE:g} s: {len(during)} requests {dict(sorted(what.by_kind.items()))}"
    )
    if good:
        print(
            f"  200: p50 {what.percentile(50) * 1e3:.0f} ms, p99 {what.percentile(99):.2f} s, "
            f"longest {max(good):.2f} s"
        )
    if late:
        over = sum(seconds > DEADLINE for seconds in late)
        print(
            f"  504: median wait {statistics.median(late):.3f} s, longest {max(late):.3f} s of {DEADLINE:g} s; "
            f"{over} of {len(late)} later than that"
        )
    if quick:
        print(f"  503: median wait {statistics.median(quick) * 1e3:.1f} ms")
    for name, seconds in (("first 503 after", opened), ("first 200, once it is back, after", recovered)):
        if seconds:
            shown = ", ".join(f"{value:.2f}" for value in sorted(seconds))
            print(f"  {name}: {shown} s")


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hung_backend", description=__doc__)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--attempts", type=int, default=4, help="how often the gateway tries a call in all")
    options = parser.parse_args()
    servers = options.servers
    request = upload(PREDICT, [encoded(quadrants(640, 480), quality=85)], token=TOKEN)
    request = request.replace(b"\r\n", f"\r\nX-Request-Timeout: {DEADLINE:g}\r\n".encode(), 1)
    load = Load()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        backends = [stack.enter_context(running_backend(folder, *FLAGS)) for _ in range(servers)]
        target = ",".join(backend.target for backend in backends)
        async with gateway_process(
            target, folder, model_refresh_seconds=1, retry_attempts=options.attempts
        ) as gateway:
            await gateway.until_ready()
            seconds = 2 * ROUNDS * (WELL + GONE) + WELL
            sending = asyncio.create_task(
                steady(lambda: gateway.port, request, rate=RATE, seconds=seconds, load=load)
            )
            rounds = await take_away(folder, stack, backends)
            await sending
            refused = (await gateway.metrics()).value(
                "breaker_refused_total", model="sport_classifier", method="Predict"
            )
    for how in ("hung", "killed"):
        report(how, [one for one in rounds if one.how == how], load)
    print(f"{len(load.outcomes)} requests in all, {refused:.0f} refused by the breaker; {servers} server(s)")


if __name__ == "__main__":
    asyncio.run(main())
