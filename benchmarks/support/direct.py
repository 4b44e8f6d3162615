"""The model server asked by a plain gRPC client with a tensor made beforehand: what a gateway is measured against."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import numpy as np

from benchmarks.support.load import Waits
from proto_client import to_tensor_proto
from proto_client.messages import PredictRequest

_PREDICT = "/tensorflow.serving.PredictionService/Predict"


def ready_request(side: int, *, pictures: int = 1, model: str = "sport_classifier") -> bytes:
    """A serialised Predict of random pixels."""
    request = PredictRequest(output_filter=["probabilities", "class_ids", "class_names"])
    request.model_spec.name = model
    request.model_spec.signature_name = "serving_default"
    images = np.random.default_rng(0).integers(0, 256, (pictures, side, side, 3), np.uint8)
    request.inputs["images"].CopyFrom(to_tensor_proto(images))
    content: bytes = request.SerializeToString()
    return content


def plain_channel(target: str, *options: tuple[str, int | str]) -> grpc.aio.Channel:
    """A channel without TLS, past any proxy of the environment; all else is as gRPC has it, but for these options."""
    return grpc.aio.insecure_channel(target, options=[("grpc.enable_http_proxy", 0), *options])


class Direct:
    """A channel to a model server."""

    def __init__(self, target: str) -> None:
        self._channel = plain_channel(target)
        self._predict: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(_PREDICT)

    async def ask(self, request: bytes) -> bytes:
        """Make one call."""
        reply: bytes = await self._predict(request, timeout=60)
        return reply

    async def closed_loop(self, request: bytes, *, callers_at_once: int, seconds: float) -> Waits:
        """As `benchmarks.support.load.closed_loop`."""
        waits = Waits()
        end = time.perf_counter() + seconds

        async def keep_asking() -> None:
            while (started := time.perf_counter()) < end:
                try:
                    await self.ask(request)
                except grpc.aio.AioRpcError:
                    waits.failed += 1
                    await asyncio.sleep(0.01)
                    continue
                waits.seconds.append(time.perf_counter() - started)

        begun = time.perf_counter()
        await asyncio.gather(*(keep_asking() for _ in range(callers_at_once)))
        waits.wall = time.perf_counter() - begun
        return waits

    async def close(self) -> None:
        """Hang up."""
        await self._channel.close()


@asynccontextmanager
async def direct(target: str) -> AsyncIterator[Direct]:
    """Open a channel for the block."""
    made = Direct(target)
    try:
        yield made
    finally:
        await made.close()
