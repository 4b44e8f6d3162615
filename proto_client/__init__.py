"""An async gRPC client for TensorFlow Serving: ndarrays in, ndarrays out. It never imports TensorFlow."""

from proto_client.answers import (
    ModelMetadata,
    ModelState,
    Prediction,
    Signature,
    TensorSpec,
    VersionStatus,
)
from proto_client.channel import ChannelSettings, RetryPolicy
from proto_client.client import ModelServerClient
from proto_client.errors import (
    DeadlineExceeded,
    InvalidReply,
    InvalidRequest,
    ModelNotFound,
    ModelServerBusy,
    ModelServerError,
    ModelServerUnavailable,
)
from proto_client.observer import CallObserver
from proto_client.tensors import TensorError, from_tensor_proto, to_tensor_proto

__all__ = [
    "CallObserver",
    "ChannelSettings",
    "DeadlineExceeded",
    "InvalidReply",
    "InvalidRequest",
    "ModelMetadata",
    "ModelNotFound",
    "ModelServerBusy",
    "ModelServerClient",
    "ModelServerError",
    "ModelServerUnavailable",
    "ModelState",
    "Prediction",
    "RetryPolicy",
    "Signature",
    "TensorError",
    "TensorSpec",
    "VersionStatus",
    "from_tensor_proto",
    "to_tensor_proto",
]
