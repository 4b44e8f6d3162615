"""The client: ndarrays in, ndarrays out, over gRPC."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message
from numpy.typing import NDArray

from proto_client.answers import (
    ModelMetadata,
    Prediction,
    Signature,
    VersionStatus,
    read_metadata,
    read_prediction,
    read_status,
    status_code,
)
from proto_client.breaker import BreakerState
from proto_client.calling import Caller, Method
from proto_client.channel import GET_MODEL_METADATA, GET_MODEL_STATUS, PREDICT, RELOAD_CONFIG, ChannelSettings
from proto_client.errors import error_for
from proto_client.link import Link
from proto_client.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelServerConfig,
    PredictResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
    TensorProto,
)
from proto_client.observer import CallObserver
from proto_client.predict_request import PredictRequests, fill_spec
from proto_client.signatures import KnownSignatures, SignatureMismatch, check_inputs
from proto_client.targets import Targets
from proto_client.tls import TlsFiles

__all__ = ["ModelServerClient"]

_Reply = TypeVar("_Reply", bound=Message)
_Inputs = Mapping[str, NDArray[Any] | TensorProto]

_PREDICT = Method(PREDICT, guarded=True)
_METADATA = Method(GET_MODEL_METADATA)
_STATUS = Method(GET_MODEL_STATUS)
# A second reload could undo another's.
_RELOAD = Method(RELOAD_CONFIG, repeatable=False)


class ModelServerClient:
    """Talks to one TensorFlow Serving, or to several in turn, as if they were one.

    Make it inside a running event loop, use it in that loop only, from as many tasks as you like, and close
    it (or use `async with`). Nothing connects before the first call. Every call takes a `timeout` in seconds
    that covers all its retries; cancelling the task that awaits a call cancels the call on the server too.

    Every method raises `ModelServerError` or one of its kinds (`ModelNotFound`, `InvalidRequest`,
    `ModelServerBusy`, `ModelServerUnavailable`, `CircuitOpen`, `DeadlineExceeded`, `InvalidReply`) when the call
    fails. What it does about faults is told in docs/resilience.md.

    Args:
        target: host:port; any gRPC target such as dns:///name:port; or several host:port with commas between.
        settings: The channel's limits and times, retries and breaker included.
        credentials: For TLS with what is made already.
        tls: For TLS with files, which are read anew when they change. Without either, plain text is spoken, as
            TF Serving does by default.
        observer: Is told of every call.
        call_metadata: Makes the gRPC metadata that each call carries, such as `traceparent`.
        check_signatures: Compare inputs with the signature before they are sent. Where nothing is known of a version
            yet, its metadata is asked for first.
        clock: Seconds that only grow, for breaker, budget and renewals.

    Raises:
        ValueError: The target cannot be read, or there are two ways of TLS, or a list over TLS without a server name.
        TlsError: A file for TLS cannot be used.
    """

    def __init__(
        self,
        target: str,
        *,
        settings: ChannelSettings | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        tls: TlsFiles | None = None,
        observer: CallObserver | None = None,
        call_metadata: Callable[[], Sequence[tuple[str, str]]] | None = None,
        check_signatures: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        targets = Targets(target)
        if tls is not None and credentials is not None:
            raise ValueError("Give credentials or files for TLS, not both.")
        if tls is not None and targets.listed and tls.server_name is None:
            raise ValueError(
                "A list of servers has no name that their certificates could bear; over TLS, give a server name."
            )
        settings = settings or ChannelSettings()
        link = Link(targets, settings, credentials=credentials, tls=tls, clock=clock)
        self._caller = Caller(
            target,
            link,
            several=targets.several,
            settings=settings,
            observer=observer,
            call_metadata=call_metadata,
            clock=clock,
        )
        self._requests = PredictRequests()
        self._known = KnownSignatures() if check_signatures else None

    @property
    def breaker_state(self) -> BreakerState:
        """Whether calls of `predict` are let through."""
        return self._caller.breaker.state

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
        await self._caller.close(grace)

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
            SignatureMismatch: The inputs do not fit the signature of the version; nothing was sent. Without a version
                the signature of the one that answered last counts, so for a promise give the version.
            ValueError: Both a version and a label are given.
            CircuitOpen: The servers have not been answering; nothing was sent.
            ModelServerError: The call failed.
        """
        started = time.monotonic()
        if self._known is not None:
            await self._check(inputs, model, version, version_label, signature, timeout)
        request = self._requests.serialise(
            inputs,
            model=model,
            version=version,
            version_label=version_label,
            signature=signature,
            output_filter=tuple(output_filter),
        )
        timeout -= time.monotonic() - started
        prediction = read_prediction(
            await self._caller.call(_PREDICT, request, PredictResponse, model=model, seconds=timeout)
        )
        if self._known is not None and version is None and prediction.version:
            self._known.answered(model, version_label, prediction.version)
        return prediction

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
        fill_spec(request.model_spec, model, version, None)
        return read_status(
            await self._caller.call(_STATUS, request, GetModelStatusResponse, model=model, seconds=timeout)
        )

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
        fill_spec(request.model_spec, model, version, version_label)
        reply = await self._caller.call(
            _METADATA, request, GetModelMetadataResponse, model=model, seconds=timeout
        )
        metadata = read_metadata(reply)
        if self._known is not None:
            self._known.learn(metadata, model, version_label, answers=version is None)
        return metadata

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
        request = ReloadConfigRequest(config=config)
        reply = await self._caller.call(_RELOAD, request, ReloadConfigResponse, model="", seconds=timeout)
        code = status_code(reply.status.error_code)
        if code is not grpc.StatusCode.OK:
            raise error_for(code, reply.status.error_message)

    async def _check(
        self,
        inputs: _Inputs,
        model: str,
        version: int | None,
        version_label: str | None,
        key: str,
        timeout: float,  # noqa: ASYNC109 - see predict
    ) -> None:
        """Make sure that the inputs fit; a signature that is not known, or may be old, is asked for."""
        known = None if self._known is None else self._known.find(model, version, version_label)
        if known is not None:
            try:
                _check_known(inputs, known, key)
            except SignatureMismatch:
                # The server may have other files under the same number, or another version under the same label.
                known = None
        if known is None:
            metadata = await self.model_metadata(
                model, version=version, version_label=version_label, timeout=timeout
            )
            _check_known(inputs, metadata.signatures, key)


def _check_known(inputs: _Inputs, signatures: Mapping[str, Signature], key: str) -> None:
    # A key that is not there is the server's to refuse, which it does before it makes batches.
    signature = signatures.get(key)
    if signature is not None:
        check_inputs(inputs, signature)
