"""How long /healthz takes while sixteen 12-megapixel photos decode, beside an idle gateway.

    python -m benchmarks.health_under_load

The gateway runs as a process of its own; the model server is the tests' fake, so that decoding is all the work.
Health is asked fifty times a second over a connection of its own, from a process of its own.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from tests.support.fake_backend import FakeBackend
from tests.support.gateway import MODEL, PREDICT, TOKEN
from tests.support.pictures import encoded
from tests.support.processes import ROOT, free_port, listens, running_module, wait_until

PHOTOS_AT_ONCE = 16
SECONDS = 15
PAUSE = 0.02

PROBE = f"""
import http.client, json, sys, time
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
connection.connect()
taken, end = [], time.monotonic() + {SECONDS}
while time.monotonic() < end:
    started = time.perf_counter()
    connection.request("GET", "/healthz")
    reply = connection.getresponse()
    reply.read()
    assert reply.status == 200
    taken.append(time.perf_counter() - started)
    time.sleep({PAUSE})
print(json.dumps(taken))
"""


def photo() -> bytes:
    """A 12-megapixel JPEG with as much detail as a photo has: about 4 MB."""
    dice = np.random.default_rng(0)
    coarse = Image.fromarray(dice.integers(0, 256, (378, 504, 3), np.uint8)).resize(
        (4032, 3024), Image.Resampling.BICUBIC
    )
    fine = dice.integers(-12, 13, (3024, 4032, 3), np.int16)
    return encoded(Image.fromarray(np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8)), quality=85)


async def probe(port: int) -> list[float]:
    """Seconds of each health request."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROBE, str(port), stdout=subprocess.PIPE, cwd=ROOT
    )
    output, _ = await process.communicate()
    taken: list[float] = json.loads(output)
    return taken


async def decode_all_the_time(client: httpx.AsyncClient, picture: bytes, done: asyncio.Event) -> int:
    """Keep one photo in flight; returns how many were answered."""
    count = 0
    while not done.is_set():
        answer = await client.post(PREDICT, files={"file": picture})
        answer.raise_for_status()
        count += 1
    return count


def row(name: str, taken: list[float]) -> str:
    """One line of the table, in milliseconds."""
    milliseconds = 1000 * np.array(taken)
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return f"{name:40} {len(taken):6} {p50:8.1f} {p99:8.1f} {milliseconds.max():8.1f}"


async def main() -> None:
    """Measure idle, then busy, and print a table."""
    argparse.ArgumentParser(prog="python -m benchmarks.health_under_load", description=__doc__).parse_args()
    port, picture = free_port(), photo()
    environment = {
        "SPORTVISION_TOKENS": TOKEN,
        "SPORTVISION_PORT": str(port),
        "SPORTVISION_LOG_LEVEL": "warning",
    }
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "gateway.log"
        async with FakeBackend() as backend:
            backend.add_version(MODEL, 1, height=224, width=224)
            environment["SPORTVISION_MODEL_SERVER"] = backend.target
            with running_module("app", log=log, environment=environment) as process:
                await asyncio.to_thread(wait_until, "gateway", lambda: listens(port), process, log)
                idle = await probe(port)
                headers = {"Authorization": TOKEN}
                async with httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120, trust_env=False
                ) as client:
                    done = asyncio.Event()
                    started = time.monotonic()
                    photos = [
                        asyncio.create_task(decode_all_the_time(client, picture, done))
                        for _ in range(PHOTOS_AT_ONCE)
                    ]
                    busy = await probe(port)
                    done.set()
                    answered = sum(await asyncio.gather(*photos))
                    rate = answered / (time.monotonic() - started)
    print(f"{'/healthz':40} {'asked':>6} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    print(row("idle", idle))
    print(row(f"{PHOTOS_AT_ONCE} photos of {len(picture) / 1e6:.1f} MB in flight", busy))
    print(f"{answered} photos decoded, {rate:.1f} a second")


if __name__ == "__main__":
    asyncio.run(main())
