"""The client: ndarrays in, ndarrays out, over gRPC."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from proto_client.answers import (
    ModelMetadata,
    Prediction,
    VersionStatus,
    read_metadata,
    read_prediction,
    read_status,
    status_code,
)
from proto_client.channel import (
    GET_MODEL_METADATA,
    GET_MODEL_STATUS,
    PREDICT,
    RELOAD_CONFIG,
    ChannelSettings,
    RetryPolicy,
    open_channel,
)
from proto_client.errors import InvalidReply, ModelServerError, error_for
from proto_client.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelServerConfig,
    ModelSpec,
    PredictRequest,
    PredictResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
    TensorProto,
)
from proto_client.observer import CallObserver
from proto_client.retrying import with_retries
from proto_client.tensors import TensorError, write_tensor_proto

__all__ = ["ModelServerClient"]

_Reply = TypeVar("_Reply", bound=Message)

_ONCE = RetryPolicy(attempts=1)


@dataclass(frozen=True, slots=True)
class _Method(Generic[_Reply]):
    """A gRPC method of this channel, bytes in and bytes out, and what its replies are.

    Replies are parsed here, not by grpc.aio: that would turn one that cannot be parsed into None.
    """

    name: str
    repeatable: bool
    invoke: "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"
    reply: type[_Reply]


class ModelServerClient:
    """Talks to one TensorFlow Serving, or several behind one DNS name, over one channel.

    Make it inside a running event loop, use it in that loop only, from as many tasks as you like, and close
    it (or use `async with`). Nothing connects before the first call. Every call takes a `timeout` in seconds
    that covers all its retries; cancelling the task that awaits a call cancels the call on the server too.

    Every method raises `ModelServerError` or one of its kinds (`ModelNotFound`, `InvalidRequest`,
    `ModelServerBusy`, `ModelServerUnavailable`, `DeadlineExceeded`, `InvalidReply`) when the call fails.

    Args:
        target: host:port, or any gRPC target such as dns:///name:port.
        settings: The channel's limits and times, retries included.
        credentials: For TLS; None speaks plain text, as TF Serving does by default.
        observer: Is told of every call.
        call_metadata: Gives the metadata, pairs of name and value, that goes with each attempt of a call; asked in
            the task that makes the call.
    """

    def __init__(
        self,
        target: str,
        *,
        settings: ChannelSettings | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        observer: CallObserver | None = None,
        call_metadata: Callable[[], Sequence[tuple[str, str]]] = tuple,
    ) -> None:
        self.target = target
        settings = settings or ChannelSettings()
        self._retry = settings.retry
        self._channel = open_channel(target, settings, credentials)
        self._observer = observer
        self._call_metadata = call_metadata
        self._closed = False
        self._predict = self._method(PREDICT, PredictResponse)
        self._status = self._method(GET_MODEL_STATUS, GetModelStatusResponse)
        self._metadata = self._method(GET_MODEL_METADATA, GetModelMetadataResponse)
        self._reload = self._method(RELOAD_CONFIG, ReloadConfigResponse, repeatable=False)

    def _method(self, path: str, reply: type[_Reply], *, repeatable: bool = True) -> _Method[_Reply]:
        invoke: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(path)
        return _Method(path.rpartition("/")[2], repeatable, invoke, reply)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Closes the channel; a second call does nothing.

        Args:
            grace: Seconds that calls in flight may still take. What is left then fails with the status
                CANCELLED.
        """
        self._closed = True
        await self._channel.close(grace)

    async def predict(
        self,
        inputs: Mapping[str, NDArray[Any] | TensorProto],
        *,
        model: str,
        timeout: float,  # noqa: ASYNC109 - gRPC keeps the deadline; asyncio.timeout leaks
        version: int | None = None,
        version_label: str | None = None,
        signature: str = "serving_default",
        output_filter: Sequence[str] = (),
    ) -> Prediction:
        """Runs a signature of a model.

        Args:
            inputs: The input tensors by alias; arrays as `write_tensor_proto` takes them, or tensors made
                with `to_tensor_proto` beforehand, which spares the event loop that work.
            model: The model's name.
            timeout: Seconds until DEADLINE_EXCEEDED.
            version: The version's number; the server takes its highest if neither this nor a label is given.
            version_label: A label that the server's configuration maps to a version, in place of a number.
            signature: The signature's key.
            output_filter: Aliases of the outputs that are wanted; all of them if empty.

        Returns:
            The outputs, with the version that answered.

        Raises:
            TensorError: An input is of a type that TensorFlow does not know; nothing was sent.
            ValueError: Both a version and a label are given.
            ModelServerError: The call failed.
        """
        request = PredictRequest(output_filter=output_filter)
        _fill_spec(request.model_spec, model, version, version_label)
        request.model_spec.signature_name = signature
        for alias, value in inputs.items():
            if isinstance(value, TensorProto):
                request.inputs[alias].CopyFrom(value)
                continue
            try:
                write_tensor_proto(value, request.inputs[alias])
            except TensorError as error:
                raise TensorError(f"Input {alias!r}: {error}") from error
        return read_prediction(await self._call(self._predict, request, model, timeout))

    async def model_status(
        self,
        model: str,
        *,
        timeout: float,  # noqa: ASYNC109 - see predict
        version: int | None = None,
    ) -> list[VersionStatus]:
        """Asks how the versions of a model stand.

        Args:
            model: The model's name.
            timeout: Seconds until DEADLINE_EXCEEDED.
            version: One version only.

        Returns:
            One status for each version, in the server's order; TF Serving's descends, and ended ones stay
            listed.

        Raises:
            ModelServerError: The call failed.
        """
        request = GetModelStatusRequest()
        _fill_spec(request.model_spec, model, version, None)
        return read_status(await self._call(self._status, request, model, timeout))

    async def model_metadata(
        self,
        model: str,
        *,
        timeout: float,  # noqa: ASYNC109 - see predict
        version: int | None = None,
        version_label: str | None = None,
    ) -> ModelMetadata:
        """Asks for the signatures of a version.

        Args:
            model: The model's name.
            timeout: Seconds until DEADLINE_EXCEEDED.
            version: The version's number; the server takes its highest if neither this nor a label is given.
            version_label: A label in place of a number.

        Returns:
            The signatures, with the version that they belong to.

        Raises:
            ValueError: Both a version and a label are given.
            ModelServerError: The call failed.
        """
        request = GetModelMetadataRequest(metadata_field=["signature_def"])
        _fill_spec(request.model_spec, model, version, version_label)
        return read_metadata(await self._call(self._metadata, request, model, timeout))

    async def reload_config(
        self,
        config: ModelServerConfig,
        *,
        timeout: float,  # noqa: ASYNC109 - see predict
    ) -> None:
        """Replaces the server's whole configuration, and waits until its models are loaded.

        The configuration is the whole list: a model that is not in it is unloaded. That is how a version
        label is moved. Never retried, for a second reload could undo another's. TF Serving answers after the
        loads; with a base path that does not exist it never answers, and the call ends with
        DEADLINE_EXCEEDED.

        Args:
            config: All models, with their version policies and labels.
            timeout: Seconds until DEADLINE_EXCEEDED.

        Raises:
            ModelServerError: The call failed, or the server refused the configuration.
        """
        reply = await self._call(self._reload, ReloadConfigRequest(config=config), "", timeout)
        code = status_code(reply.status.error_code)
        if code is not grpc.StatusCode.OK:
            raise error_for(code, reply.status.error_message)

    async def _call(
        self,
        method: _Method[_Reply],
        request: Message,
        model: str,
        timeout: float,  # noqa: ASYNC109 - see predict
    ) -> _Reply:
        started = time.perf_counter()
        code = grpc.StatusCode.CANCELLED
        try:
            reply = await self._send(method, request, model, timeout)
            code = grpc.StatusCode.OK
        except ModelServerError as error:
            code = error.code
            raise
        finally:
            if self._observer is not None:
                seconds = time.perf_counter() - started
                self._observer.call_ended(method=method.name, model=model, code=code, seconds=seconds)
        return reply

    async def _send(
        self,
        method: _Method[_Reply],
        request: Message,
        model: str,
        timeout: float,  # noqa: ASYNC109 - see predict
    ) -> _Reply:
        content = request.SerializeToString()

        async def attempt(seconds: float) -> bytes:
            return await self._attempt(method.invoke, content, seconds)

        def on_retry() -> None:
            if self._observer is not None:
                self._observer.call_retried(method=method.name, model=model)

        policy = self._retry if method.repeatable else _ONCE
        try:
            reply = await with_retries(attempt, policy=policy, seconds=timeout, on_retry=on_retry)
        except grpc.aio.AioRpcError as error:
            raise error_for(error.code(), error.details()) from error
        try:
            return method.reply.FromString(reply)
        except DecodeError as error:
            raise InvalidReply(f"The reply is no {method.reply.DESCRIPTOR.name}: {error}") from error

    async def _attempt(
        self, invoke: "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]", content: bytes, seconds: float
    ) -> bytes:
        if self._closed:
            raise error_for(grpc.StatusCode.CANCELLED, "The client is closed.")
        try:
            return await invoke(content, timeout=seconds, metadata=tuple(self._call_metadata()) or None)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                # Closing the channel cancels its calls; the caller was not cancelled, and must not seem so.
                raise error_for(grpc.StatusCode.CANCELLED, "The client was closed during the call.") from None
            raise


def _fill_spec(spec: ModelSpec, model: str, version: int | None, version_label: str | None) -> None:
    if version is not None and version_label is not None:
        raise ValueError("Give a version or a version label, not both.")
    spec.name = model
    if version is not None:
        spec.version.value = version
    elif version_label is not None:
        spec.version_label = version_label
