"""What the client's guards cost a call: with them, without them, and gRPC alone, turn and turn about in one run.

    python -m benchmarks.client_cost

One call at a time goes to a fake model server in another process, which answers at once: the picture is 224 × 224, as
the models take it. CPU time is that of this process, gRPC's threads included. Then each guard is timed by itself.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
import timeit
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import numpy as np

from benchmarks.support.direct import plain_channel
from proto_client import (
    BreakerSettings,
    ChannelSettings,
    ModelServerClient,
    RetryBudgetSettings,
    RetryPolicy,
    Signature,
    TensorSpec,
    check_inputs,
)
from proto_client.answers import read_prediction
from proto_client.breaker import Breaker, Verdict
from proto_client.channel import PREDICT
from proto_client.messages import PredictRequest, PredictResponse
from proto_client.retry_budget import RetryBudget
from proto_client.retrying import Attempts
from proto_client.tensors import write_tensor_proto
from proto_client.usual_time import UsualTime
from tests.support.backend_process import running_backend
from tests.support.gateway import MODEL

ROUNDS = 250
CALLS = 20
SHAPE = (1, 224, 224, 3)

Ask = Callable[[], Awaitable[object]]


def bare(channel: grpc.aio.Channel, images: np.ndarray) -> Ask:
    """What a call needs at the least: build, send, parse."""
    invoke = channel.unary_unary(PREDICT)

    async def ask() -> object:
        request = PredictRequest()
        request.model_spec.name = MODEL
        request.model_spec.version.value = 1
        write_tensor_proto(images, request.inputs["images"])
        content = await invoke(request.SerializeToString(), timeout=10.0)
        return read_prediction(PredictResponse.FromString(content))

    return ask


def through(client: ModelServerClient, images: np.ndarray) -> Ask:
    """The same by the client."""
    return lambda: client.predict({"images": images}, model=MODEL, version=1, timeout=10.0)


async def measure(sides: dict[str, Ask]) -> None:
    """Print CPU time and wait for a call, and their ratios to the first side."""
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    wait: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(ROUNDS + 2):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            ask = sides[name]
            begun, spent = time.perf_counter(), time.process_time()
            for _ in range(CALLS):
                await ask()
            if number >= 2:  # the first rounds warm up
                cpu[name].append((time.process_time() - spent) / CALLS)
                wait[name].append((time.perf_counter() - begun) / CALLS)
    first = names[0]
    print(f"{'':34} {'CPU a call':>11} {'ratio':>7} {'wait':>11} {'ratio':>7}")
    for name in names:
        figures = []
        for spent_by in (cpu, wait):
            ratio = statistics.median(
                mine / other for mine, other in zip(spent_by[name], spent_by[first], strict=True)
            )
            figures.append(f"{statistics.median(spent_by[name]) * 1e6:8.1f} µs {ratio:7.3f}")
        print(f"{name:34} {' '.join(figures)}")


def guards(images: np.ndarray) -> None:
    """Print what each guard takes by itself."""
    breaker = Breaker(BreakerSettings())
    budget = RetryBudget(RetryBudgetSettings())
    usual = UsualTime()
    signature = Signature({"images": TensorSpec("x:0", "uint8", (None, *SHAPE[1:]))}, {}, "predict")
    attempts = Attempts(RetryPolicy(), budget, True, usual, lambda: None, lambda: None)
    inputs = {"images": images}

    def time_of_an_attempt() -> None:
        attempts.seconds_for(10.0)
        budget.give_back()

    for name, work in {
        "signature": lambda: check_inputs(inputs, signature),
        "breaker": lambda: breaker.record(breaker.admit(), Verdict.ALIVE),
        "budget": budget.deposit,
        "time of an attempt": time_of_an_attempt,
        "usual time": lambda: usual.add(0.1),
    }.items():
        number = 100_000
        seconds = min(timeit.repeat(work, number=number, repeat=5)) / number
        print(f"{name:34} {seconds * 1e6:8.2f} µs")


async def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(prog="python -m benchmarks.client_cost", description=__doc__).parse_args()
    images = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    off = ChannelSettings(retry=RetryPolicy(attempts=1), breaker=BreakerSettings(enabled=False))
    with tempfile.TemporaryDirectory() as folder, running_backend(Path(folder), "--side=224") as backend:
        async with AsyncExitStack() as stack:
            channel = await stack.enter_async_context(
                plain_channel(backend.target, ("grpc.use_local_subchannel_pool", 1))
            )
            without = await stack.enter_async_context(
                ModelServerClient(backend.target, settings=off, check_signatures=False)
            )
            guarded = await stack.enter_async_context(ModelServerClient(backend.target))
            await measure(
                {
                    "client without its guards": through(without, images),
                    "client": through(guarded, images),
                    "gRPC and protobuf alone": bare(channel, images),
                }
            )
    guards(images)


if __name__ == "__main__":
    asyncio.run(main())
