"""A model server with two versions of one model, `stable` 1 and `canary` 2, that answers after a fixed time.

    python -m benchmarks.backends.two_versions --port 8500 --milliseconds 20

The time is waited, not computed: what the machine's cores do besides is the gateway's and the caller's.
"""

import argparse
import asyncio
from typing import Any

from benchmarks.backends.instant import prepared, serve_model
from tests.support.fake_backend import FakeBackend

# A message's first fields come first in its bytes, and the version is one of them; the picture is behind it.
_HEAD_BYTES = 64
_VERSION_2 = b"\x12\x02\x08\x02"


async def serve(port: int, side: int, candidate_side: int, model: str, seconds: float) -> None:
    """Serve until the process is told to stop."""
    fake = FakeBackend()
    fake.add_version(model, 1, height=side, width=side)
    fake.add_version(model, 2, height=candidate_side, width=candidate_side)
    fake.labels |= {(model, "stable"): 1, (model, "canary"): 2}
    replies = {number: prepared(model, number, 1) for number in (1, 2)}

    async def predict(request: bytes, _: Any) -> bytes:
        if seconds:
            await asyncio.sleep(seconds)
        return replies[2 if _VERSION_2 in request[:_HEAD_BYTES] else 1]

    await serve_model(port, fake, predict)


def main() -> None:
    """Read the flags and serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backends.two_versions", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--side", type=int, default=224, help="of version 1's input")
    parser.add_argument("--candidate-side", type=int, default=224, help="of version 2's input")
    parser.add_argument("--model", default="sport_classifier")
    parser.add_argument("--milliseconds", type=float, default=0.0)
    options = parser.parse_args()
    asyncio.run(
        serve(options.port, options.side, options.candidate_side, options.model, options.milliseconds / 1000)
    )


if __name__ == "__main__":
    main()
