"""The floor: the least that a Python process must spend on a picture, with no framework, check or measurement at all.

    python -m benchmarks.floor --port 8001 --model-server 127.0.0.1:8500 --side 224

A bare asyncio protocol on uvloop. Each path does one part, and the CPU time that the process spends on it is
measured from outside: `/read` reads a body of the asked length and answers; `/decode` decodes the picture in it as
well; `/rpc` reads, and calls Predict with a tensor made beforehand; `/all` does all three.
"""

import argparse
import asyncio
import os
from typing import cast

import grpc.aio
import numpy as np
import uvloop

from benchmarks.support.direct import plain_channel
from preprocessing import decode_picture, load_decoders
from proto_client import to_tensor_proto
from proto_client.messages import PredictRequest

_ANSWER = b'{"data":[{"id":"1","name":"Sport number 1","probability":0.5}]}'
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_ANSWER)


class Bare(asyncio.Protocol):
    """Speaks just enough HTTP for one request after the other on a connection."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        self._head = b""
        self._chunks: list[bytes] = []
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        # uvloop's transports are no subclasses of asyncio's, yet do the same.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if not self._left:
            self._head, _, data = data.partition(b"\r\n\r\n")
            at = self._head.index(b"Content-Length: ") + 16
            self._left = int(self._head[at:].split(b"\r\n", 1)[0])
        self._chunks.append(data)
        self._left -= len(data)
        if not self._left:
            body = b"".join(self._chunks)
            self._chunks.clear()
            path = self._head.split(b" ", 2)[1]
            if path == b"/read":
                self._answer()
            elif path == b"/decode":
                self._parts.decode(body)
                self._answer()
            else:
                content = self._parts.decode(body) if path == b"/all" else self._parts.prepared
                # Kept by the protocol: the loop itself holds tasks only weakly.
                self._task = asyncio.ensure_future(self._call(content))

    async def _call(self, content: bytes) -> None:
        await self._parts.predict(content, timeout=10)
        self._answer()

    def _answer(self) -> None:
        self._transport.write(_HEAD + _ANSWER)


class Parts:
    """What the paths are made of."""

    def __init__(self, target: str, side: int) -> None:
        self._side = side
        self._channel = plain_channel(target)
        self.predict: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict"
        )
        request = PredictRequest(output_filter=["probabilities", "class_ids", "class_names"])
        request.model_spec.name = "sport_classifier"
        request.model_spec.signature_name = "serving_default"
        image = np.zeros((1, side, side, 3), np.uint8)
        request.inputs["images"].CopyFrom(to_tensor_proto(image))
        self.prepared: bytes = request.SerializeToString()
        self._frame = bytearray(self.prepared)
        # Pixels may stand anywhere in this cost model; only their number counts.
        self._at = len(self.prepared) - image.nbytes

    def decode(self, body: bytes) -> bytes:
        """Find the picture in the body, decode it, and write its pixels where a request has them."""
        begin = body.index(b"\r\n\r\n") + 4
        image = decode_picture(
            body[begin : body.rindex(b"\r\n--", 0, -4)], height=self._side, width=self._side
        )
        self._frame[self._at :] = image.tobytes()
        return bytes(self._frame)


async def serve(port: int, target: str, side: int) -> None:
    """Serve until the process is told to stop."""
    load_decoders()
    parts = Parts(target, side)
    server = await asyncio.get_running_loop().create_server(lambda: Bare(parts), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    """Read the flags and serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model-server", required=True)
    parser.add_argument("--side", type=int, default=224)
    options = parser.parse_args()
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    uvloop.run(serve(options.port, options.model_server, options.side))


if __name__ == "__main__":
    main()
