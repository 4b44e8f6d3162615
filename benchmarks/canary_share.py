"""Which share of the requests a canary really answers, by the answers' headers and by the gateway's own metrics.

    python -m benchmarks.canary_share [--share 0.1] [--requests 2000]

A gateway process, callers side by side, and a model server that answers at once.
"""

import argparse
import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import httpx

from benchmarks.support.processes import PYTHON, answers, running, wait_until
from tests.support.gateway import PREDICT, TOKEN
from tests.support.pictures import encoded, quadrants
from tests.support.processes import free_port, listens
from tests.support.scrape import scrape

CALLERS = 8


async def send(port: int, requests: int) -> Counter[tuple[int, str, str]]:
    """Send so many requests; counts by status, label and version."""
    counts: Counter[tuple[int, str, str]] = Counter()
    picture = encoded(quadrants(320, 240), quality=85)
    left = requests
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": TOKEN}, timeout=60, trust_env=False
    ) as client:

        async def caller() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                answer = await client.post(PREDICT, files={"file": picture})
                label, version = (answer.headers.get(f"x-model-{name}", "") for name in ("label", "version"))
                counts[answer.status_code, label, version] += 1

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        found = await scrape(client)
    for label in ("stable", "canary"):
        told = found.value("answers_total", model="sport_classifier", label=label)
        print(f"sportvision_answers_total, {label}: {told:.0f}")
    return counts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.canary_share", description=__doc__)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    port, backend = free_port(), free_port()
    environment = {
        "SPORTVISION_TOKENS": TOKEN,
        "SPORTVISION_PORT": str(port),
        "SPORTVISION_MODEL_SERVER": f"127.0.0.1:{backend}",
        "SPORTVISION_SPORT_MODEL_LABEL": "stable",
        "SPORTVISION_SPORT_MODEL_CANARY_SHARE": str(options.share),
        "SPORTVISION_PRODUCT_MODEL": "",
        "SPORTVISION_LOG_LEVEL": "warning",
    }
    command = [PYTHON, "-m", "benchmarks.backends.two_versions", f"--port={backend}"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(command, log=folder / "backend.log") as server:
            wait_until(lambda: listens(backend), server)
            with running(
                [PYTHON, "-m", "app"], log=folder / "gateway.log", environment=environment
            ) as gateway:
                wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), gateway, pause=0.1)
                counts = asyncio.run(send(port, options.requests))
    for (status, label, version), count in sorted(counts.items()):
        print(f"{status} {label:7} version {version}: {count}")
    measured = sum(count for (_, label, _), count in counts.items() if label == "canary") / counts.total()
    print(f"asked for {options.share:.2%}, measured {measured:.2%} of {counts.total()} requests")


if __name__ == "__main__":
    main()
