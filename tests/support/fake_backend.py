"""A model server in this process, on a loopback port, without TensorFlow: for tests of what stands before it.

It keeps the contract between model and gateway (docs/architecture.md) and answers with TensorFlow Serving's codes
and messages. Its models answer from the picture's mean colour, so that an answer can be foretold. Tests script its
faults and hold its calls by events; it never sleeps. Use it in one event loop, that of the test.
"""

import asyncio
import contextlib
import enum
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from proto_client.messages import (
    ErrorCode,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelServerConfig,
    PredictRequest,
    ReloadConfigRequest,
    ReloadConfigResponse,
)
from tests.support.fake_models import FakeModels, Received, Refused
from tests.support.fake_versions import FakeVersion

__all__ = ["FakeBackend", "FakeVersion", "Method", "Received"]

_PATIENCE = 30.0

_Request = TypeVar("_Request", bound=Message)


class Method(enum.StrEnum):
    """The methods that the fake serves."""

    PREDICT = "Predict"
    METADATA = "GetModelMetadata"
    STATUS = "GetModelStatus"
    RELOAD = "HandleReloadConfigRequest"


@dataclass(slots=True)
class _Fault:
    code: grpc.StatusCode
    message: str
    times: int | None


@dataclass
class FakeBackend(FakeModels):
    """The server; use it by `async with`, or by `start` and `stop`.

    Attributes:
        calls: How many calls came in, by method, the failed ones too.
        cancelled: How many of them ended because the client cancelled, hung up, or its deadline passed.
        call_metadata: What came with each call, by method.
        configs: The configurations that reloads brought; the fake only writes them down.
        reload_status: Code and message inside the replies to reloads.
        port: Where it listens; kept over `stop` and `start`.
        credentials: For TLS; None speaks plain text.
    """

    calls: Counter[Method] = field(default_factory=Counter)
    cancelled: Counter[Method] = field(default_factory=Counter)
    call_metadata: dict[Method, list[dict[str, str]]] = field(default_factory=lambda: defaultdict(list))
    configs: list[ModelServerConfig] = field(default_factory=list)
    reload_status: tuple[ErrorCode, str] = (ErrorCode.OK, "")
    port: int = 0
    credentials: grpc.ServerCredentials | None = None
    _faults: dict[Method, _Fault] = field(default_factory=dict)
    _gates: dict[Method, asyncio.Event] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _server: grpc.aio.Server | None = None

    @property
    def target(self) -> str:
        """Where clients connect: host:port."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listens on a free port, or again on the one that it had before `stop`."""
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)])
        services = {
            "PredictionService": {
                Method.PREDICT.value: self._handler(Method.PREDICT, PredictRequest, self.predict),
                Method.METADATA.value: self._handler(Method.METADATA, GetModelMetadataRequest, self.metadata),
            },
            "ModelService": {
                Method.STATUS.value: self._handler(Method.STATUS, GetModelStatusRequest, self.status),
                Method.RELOAD.value: self._handler(Method.RELOAD, ReloadConfigRequest, self._reload),
            },
        }
        server.add_generic_rpc_handlers(
            tuple(
                grpc.method_handlers_generic_handler(f"tensorflow.serving.{name}", handlers)
                for name, handlers in services.items()
            )
        )
        if self.credentials is None:
            self.port = server.add_insecure_port(self.target)
        else:
            self.port = server.add_secure_port(self.target, self.credentials)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Hangs up at once, as TensorFlow Serving does at SIGTERM."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def before_answer(self, method: Method) -> None:
        """Does nothing; for subclasses that take their time, or refuse."""

    def fail(self, method: Method, code: grpc.StatusCode, message: str, *, times: int | None = None) -> None:
        """Makes the next calls of a method fail: so many of them, or all until `mend`."""
        self._faults[method] = _Fault(code, message, times)

    def mend(self, method: Method) -> None:
        """Ends what `fail` began."""
        self._faults.pop(method, None)

    @contextlib.contextmanager
    def hold(self, method: Method) -> Iterator[asyncio.Event]:
        """Holds a method's calls, as they come in, until the event is set or the context ends.

        They are counted before they are held, and answered by what the server is like afterwards.
        """
        gate = self._gates[method] = asyncio.Event()
        try:
            yield gate
        finally:
            gate.set()
            self._gates.pop(method, None)

    async def wait_calls(self, method: Method, count: int) -> None:
        """Waits until a method was called so often in all; TimeoutError after 30 s."""
        await self._wait(lambda: self.calls[method] >= count)

    async def wait_cancelled(self, method: Method, count: int) -> None:
        """Waits until so many of a method's calls were cancelled; TimeoutError after 30 s."""
        await self._wait(lambda: self.cancelled[method] >= count)

    async def _wait(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(_PATIENCE):
            while not reached():
                await self._changed.wait()

    def _count(self, counter: Counter[Method], method: Method) -> None:
        counter[method] += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _handler(
        self, method: Method, request_type: type[_Request], answer: Callable[[_Request], Message]
    ) -> Any:
        async def handle(request: _Request, context: Any) -> Message:
            self.call_metadata[method].append(dict(context.invocation_metadata()))
            self._count(self.calls, method)
            try:
                if method in self._gates:
                    await self._gates[method].wait()
                await self.before_answer(method)
                self._raise_fault(method)
                return answer(request)
            except Refused as refused:
                await context.abort(refused.code, refused.message)
                raise  # abort never returns
            except asyncio.CancelledError:
                self._count(self.cancelled, method)
                raise

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=request_type.FromString,
            response_serializer=lambda reply: reply.SerializeToString(),
        )

    def _raise_fault(self, method: Method) -> None:
        fault = self._faults.get(method)
        if fault is None:
            return
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                del self._faults[method]
        raise Refused(fault.code, fault.message)

    def _reload(self, request: ReloadConfigRequest) -> ReloadConfigResponse:
        self.configs.append(request.config)
        reply = ReloadConfigResponse()
        reply.status.error_code, reply.status.error_message = self.reload_status
        return reply
