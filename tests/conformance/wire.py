"""A bare client: a message in; a code, a text and a message out. Errors are not raised: they are the subject."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

OK: Final = grpc.StatusCode.OK

_RESPONSES: Final[dict[str, Any]] = {
    "PredictionService/Predict": predict_pb2.PredictResponse,
    "PredictionService/GetModelMetadata": get_model_metadata_pb2.GetModelMetadataResponse,
    "ModelService/GetModelStatus": get_model_status_pb2.GetModelStatusResponse,
    "ModelService/HandleReloadConfigRequest": model_management_pb2.ReloadConfigResponse,
}


@dataclass(frozen=True)
class Answer:
    """What came back. `response` is the parsed message when `code` is OK."""

    code: grpc.StatusCode
    message: str = ""
    response: Any = None

    @property
    def version(self) -> int:
        return int(self.response.model_spec.version.value)


@dataclass(frozen=True)
class Case:
    """One row of a table: a call and what must come back.

    Attributes:
        name: Id of the test.
        method: ``Service/Method`` within ``tensorflow.serving``, or a full ``package.Service/Method``.
        request: The message, or raw bytes.
        code: The status code.
        message: The whole message, or None when it quotes TensorFlow internals.
        starts, ends: How the message starts and ends, where only that is certain.
        check: Looks at the response of an OK answer.
    """

    name: str
    method: str
    request: Any
    code: grpc.StatusCode = OK
    message: str | None = None
    starts: str = ""
    ends: str = ""
    check: Callable[[Any], None] | None = field(default=None)

    def verify(self, client: "Client", timeout: float = 20.0) -> None:
        answer = client.call(self.method, self.request, timeout)
        assert (answer.code, answer.message if self.message is not None else None) == (
            self.code,
            self.message,
        ), answer
        assert answer.message.startswith(self.starts), answer.message
        assert answer.message.endswith(self.ends), answer.message
        if self.check is not None:
            self.check(answer.response)


class Client:
    """Calls one address over one channel."""

    def __init__(self, address: str) -> None:
        self.address = address
        # Calls in flight at once, not connections: they all share the channel.
        self.pool = ThreadPoolExecutor(32)
        options = [("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]
        self._channel = grpc.insecure_channel(address, options=options)

    def close(self) -> None:
        self.pool.shutdown()
        self._channel.close()

    def call(self, method: str, request: Any, timeout: float = 20.0) -> Answer:
        path = method if "." in method else f"tensorflow.serving.{method}"
        raw = bytes(request if isinstance(request, bytes) else request.SerializeToString())
        send: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(f"/{path}")
        try:
            serialised = send(raw, timeout=timeout)
        except grpc.RpcError as error:
            # The sync client raises an error that is also the finished call.
            return Answer(error.code(), error.details() or "")
        kind = _RESPONSES.get(method)
        return Answer(OK, "", kind.FromString(serialised) if kind else None)

    def predict(self, request: Any, timeout: float = 20.0) -> Answer:
        return self.call("PredictionService/Predict", request, timeout)

    def reload(self, config: Any, timeout: float = 60.0) -> Answer:
        request = model_management_pb2.ReloadConfigRequest(config=config)
        return self.call("ModelService/HandleReloadConfigRequest", request, timeout)

    def statuses(self, model: str) -> dict[int, Any]:
        """The rows of GetModelStatus by version, in the order sent; empty when the model is unknown."""
        answer = self.call("ModelService/GetModelStatus", status_request(model))
        return {row.version: row for row in answer.response.model_version_status} if answer.code is OK else {}

    def state(self, model: str, version: int) -> str:
        row = self.statuses(model).get(version)
        return "" if row is None else str(get_model_status_pb2.ModelVersionStatus.State.Name(row.state))


def tensor(dtype: str, *shape: int, content: bytes = b"", unknown_rank: bool = False, **values: Any) -> Any:
    """A TensorProto: `tensor("float", 2, float_val=[1, 2])`, or with the bytes of `content`."""
    proto = tensor_pb2.TensorProto(
        dtype=types_pb2.DataType.Value(f"DT_{dtype.upper()}"), tensor_content=content
    )
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.unknown_rank = unknown_rank
    for name, given in values.items():
        getattr(proto, name).extend(given)
    return proto


def floats(*values: float) -> Any:
    return tensor("float", len(values), float_val=values)


def predict_request(
    model: str,
    inputs: Mapping[str, Any] | None = None,
    *,
    signature: str = "",
    version: int | None = None,
    label: str | None = None,
    outputs: tuple[str, ...] = (),
) -> Any:
    request = predict_pb2.PredictRequest(output_filter=outputs)
    fill_spec(request.model_spec, model, version=version, label=label)
    request.model_spec.signature_name = signature
    for alias, proto in (inputs or {}).items():
        request.inputs[alias].CopyFrom(proto)
    return request


def status_request(model: str, version: int | None = None, label: str | None = None) -> Any:
    request = get_model_status_pb2.GetModelStatusRequest()
    fill_spec(request.model_spec, model, version=version, label=label)
    return request


def metadata_request(model: str, *fields: str, version: int | None = None, label: str | None = None) -> Any:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    fill_spec(request.model_spec, model, version=version, label=label)
    return request


def fill_spec(spec: Any, model: str, *, version: int | None, label: str | None) -> None:
    spec.name = model
    spec.SetInParent()
    if version is not None:
        spec.version.value = version
        spec.version.SetInParent()
    if label is not None:
        spec.version_label = label


def signature_map(response: Any) -> dict[str, Any]:
    """The signatures of a GetModelMetadata answer."""
    packed = response.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    return dict(get_model_metadata_pb2.SignatureDefMap.FromString(packed.value).signature_def)


def model_config(name: str, base_path: str, *, labels: Mapping[str, int] | None = None, **policy: Any) -> Any:
    """One model of a configuration; the policy is ``latest=2``, ``specific=[1, 3]`` or ``all=True``."""
    config = model_server_config_pb2.ModelConfig(name=name, base_path=base_path, model_platform="tensorflow")
    for label, version in (labels or {}).items():
        config.version_labels[label] = version
    if "latest" in policy:
        config.model_version_policy.latest.num_versions = policy["latest"]
    if "specific" in policy:
        config.model_version_policy.specific.versions.extend(policy["specific"])
    if policy.get("all"):
        config.model_version_policy.all.SetInParent()
    return config


def server_config(*models: Any) -> Any:
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.extend(models)
    return config
