"""A model server that answers every Predict at once with a prepared reply: what is left is the wrapper's own cost.

    python -m benchmarks.backends.instant --port 8500 --side 224

It keeps the contract of docs/architecture.md as far as a gateway can see. A Predict is never parsed: how many
pictures it holds is told by its length.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import numpy as np

from proto_client import to_tensor_proto
from proto_client.messages import GetModelMetadataRequest, PredictResponse
from tests.support.fake_backend import FakeBackend

#: Answers the bytes of a request, and its context, with the bytes of a reply.
Predict = Callable[[bytes, Any], Awaitable[bytes]]
CLASSES = 20
# How a TensorProto of DT_FLOAT begins: its field dtype, then the tag of its shape.
_FLOAT32 = b"\x08\x01\x12"


def prepared(model: str, version: int, pictures: int) -> bytes:
    """A reply for so many pictures: twenty sports each, in the form that TensorFlow Serving answers in."""
    reply = PredictResponse()
    reply.model_spec.name = model
    reply.model_spec.version.value = version
    reply.model_spec.signature_name = "serving_default"
    falling = (0.5 ** np.arange(1, CLASSES + 1)).astype(np.float32)
    ids = np.array([str(number).encode() for number in range(1, CLASSES + 1)], object)
    names = np.array([f"Sport number {number}".encode() for number in range(1, CLASSES + 1)], object)
    for alias, row in (("probabilities", falling), ("class_ids", ids), ("class_names", names)):
        tensor = to_tensor_proto(np.tile(row, (pictures, 1)), as_values=True)
        reply.outputs[alias].CopyFrom(tensor)
    content: bytes = reply.SerializeToString()
    return content


async def serve(port: int, side: int, model: str) -> None:
    """Serve until the process is told to stop."""
    fake = FakeBackend()
    fake.add_version(model, 1, height=side, width=side)
    replies: dict[int, bytes] = {}

    async def predict(request: bytes, _: Any) -> bytes:
        # Three bytes a pixel as uint8, twelve as float32; what else a request holds is far less than a picture.
        width = 4 if _FLOAT32 in request[:200] else 1
        pictures = max(1, len(request) // (side * side * 3 * width))
        if pictures not in replies:
            replies[pictures] = prepared(model, 1, pictures)
        return replies[pictures]

    await serve_model(port, fake, predict)


async def serve_model(port: int, fake: FakeBackend, predict: Predict) -> None:
    """Serve Predict by a function of bytes, and metadata of what a fake backend has, until told to stop."""

    async def metadata(request: bytes, _: Any) -> bytes:
        content: bytes = fake.metadata(GetModelMetadataRequest.FromString(request)).SerializeToString()
        return content

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)])
    handlers: dict[str, Any] = {
        "Predict": grpc.unary_unary_rpc_method_handler(predict),
        "GetModelMetadata": grpc.unary_unary_rpc_method_handler(metadata),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", handlers),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    """Read the flags and serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backends.instant", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--model", default="sport_classifier")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.side, options.model))


if __name__ == "__main__":
    main()
