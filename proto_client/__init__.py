"""An async gRPC client for TensorFlow Serving: ndarrays in, ndarrays out. It never imports TensorFlow."""

from proto_client.answers import (
    ModelMetadata,
    ModelState,
    Prediction,
    Signature,
    TensorSpec,
    VersionStatus,
)
from proto_client.breaker import BreakerSettings, BreakerState
from proto_client.channel import ChannelSettings, RetryPolicy
from proto_client.client import ModelServerClient
from proto_client.errors import (
    CircuitOpen,
    DeadlineExceeded,
    InvalidReply,
    InvalidRequest,
    ModelNotFound,
    ModelServerBusy,
    ModelServerError,
    ModelServerUnavailable,
)
from proto_client.observer import CallObserver
from proto_client.retry_budget import RetryBudgetSettings
from proto_client.signatures import SignatureMismatch, check_inputs
from proto_client.targets import Targets
from proto_client.tensors import TensorError, from_tensor_proto, to_tensor_proto
from proto_client.tls import TlsError, TlsFiles

__all__ = [
    "BreakerSettings",
    "BreakerState",
    "CallObserver",
    "ChannelSettings",
    "CircuitOpen",
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
    "RetryBudgetSettings",
    "RetryPolicy",
    "Signature",
    "SignatureMismatch",
    "Targets",
    "TensorError",
    "TensorSpec",
    "TlsError",
    "TlsFiles",
    "VersionStatus",
    "check_inputs",
    "from_tensor_proto",
    "to_tensor_proto",
]
