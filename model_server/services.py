"""The gRPC services: PredictionService and ModelService of ``tensorflow.serving``.

The handlers take and give raw bytes, because a message that cannot be parsed must be answered INTERNAL with an empty
message, which grpc's own deserialisers cannot do.

Everything runs on one asyncio loop; what takes time (reading tensors, running the graph, writing the answer) runs
in threads. So a call that waits for its batch, its deadline or a reload costs no thread, and gRPC cancels the
coroutine of a caller that has gone or whose deadline has passed, which drops what has not begun.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Final, NoReturn, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from model_server.core import ServerCore
from model_server.errors import ServingError, invalid_argument, not_found
from model_server.runner import Runner
from model_server.servable import Servable

PREDICTION_SERVICE: Final = "tensorflow.serving.PredictionService"
MODEL_SERVICE: Final = "tensorflow.serving.ModelService"
NOT_OFFERED: Final = ("Classify", "Regress", "MultiInference")

Context = grpc.aio.ServicerContext[bytes, bytes]
Handler = Callable[[bytes], Awaitable[bytes]]
M = TypeVar("M", bound=Message)


class Services:
    """Answers the calls of both services.

    Args:
        core: The configuration in force.
        runner: Runs predictions.
        max_calls: Calls handled at once; a further one is answered RESOURCE_EXHAUSTED. The real server counts
            threads, of which every call there holds one.
    """

    def __init__(self, core: ServerCore[Servable], runner: Runner, max_calls: int) -> None:
        self._core = core
        self._runner = runner
        self._max_calls = max_calls
        self._calls = 0

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the services to a server."""
        prediction: dict[str, Handler] = {
            "Predict": self._predict,
            "GetModelMetadata": self._get_model_metadata,
        }
        prediction |= dict.fromkeys(NOT_OFFERED, _not_offered)
        model: dict[str, Handler] = {
            "GetModelStatus": self._get_model_status,
            "HandleReloadConfigRequest": self._handle_reload_config_request,
        }
        for service, methods in ((PREDICTION_SERVICE, prediction), (MODEL_SERVICE, model)):
            handlers: dict[str, Any] = {
                name: grpc.unary_unary_rpc_method_handler(self._guarded(handler))
                for name, handler in methods.items()
            }
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))

    def _guarded(self, handler: Handler) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def call(message: bytes, context: Context) -> bytes:
            if self._calls >= self._max_calls:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
            self._calls += 1
            try:
                return await handler(message)
            except ServingError as error:
                await context.abort(error.code, error.wire_message)
            except DecodeError:
                await context.abort(grpc.StatusCode.INTERNAL, "")
            finally:
                self._calls -= 1

        return call

    async def _predict(self, message: bytes) -> bytes:
        request = _parse(predict_pb2.PredictRequest(), message)
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        handle = self._core.acquire(request.model_spec)
        return await self._runner.predict(handle, request)

    async def _get_model_metadata(self, message: bytes) -> bytes:
        request = _parse(get_model_metadata_pb2.GetModelMetadataRequest(), message)
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        if not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid_argument(f"Metadata field {field} is not supported")
        handle = self._core.acquire(request.model_spec)
        try:
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in handle.servable.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = handle.version
            response.metadata["signature_def"].Pack(signatures)
        finally:
            handle.release()
        return _serialised(response)

    async def _get_model_status(self, message: bytes) -> bytes:
        request = _parse(get_model_status_pb2.GetModelStatusRequest(), message)
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        name = request.model_spec.name
        statuses = self._core.manager.statuses(name)
        if request.model_spec.WhichOneof("version_choice") == "version":
            version = request.model_spec.version.value
            if version not in statuses:
                raise not_found(f"Could not find version {version} of model {name}")
            statuses = {version: statuses[version]}
        elif not statuses:
            raise not_found(f"Could not find any versions of model {name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, status in statuses.items():
            row = response.model_version_status.add(version=version, state=int(status.state))
            # Present even when all is well, as the real server has it.
            row.status.SetInParent()
            if status.error is not None:
                row.status.error_code = status.error.number
                row.status.error_message = status.error.message
        return _serialised(response)

    async def _handle_reload_config_request(self, message: bytes) -> bytes:
        request = _parse(model_management_pb2.ReloadConfigRequest(), message)
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        cancelled = threading.Event()
        done: Future[None] = Future()

        def reload() -> None:
            try:
                self._core.reload(request.config, cancelled)
            except ServingError as error:
                done.set_exception(error)
            else:
                done.set_result(None)

        # A thread of its own: such a call may wait for minutes and must not take one of a pool's threads.
        threading.Thread(target=reload, name="reload", daemon=True).start()
        try:
            await asyncio.shield(asyncio.wrap_future(done))
        except asyncio.CancelledError:
            cancelled.set()
            raise
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        return _serialised(response)


async def _not_offered(_message: bytes) -> NoReturn:
    raise ServingError(
        grpc.StatusCode.UNIMPLEMENTED,
        "The embedded model server offers Predict only, of the inference methods",
    )


def _parse(message: M, serialised: bytes) -> Any:
    message.ParseFromString(serialised)
    return message


def _serialised(message: Any) -> bytes:
    return bytes(message.SerializeToString())
