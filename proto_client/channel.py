"""How the gRPC channel is set up: size limits, retries, keepalive, reconnection."""

import json
from dataclasses import dataclass

import grpc

__all__ = [
    "GET_MODEL_METADATA",
    "GET_MODEL_STATUS",
    "PREDICT",
    "RELOAD_CONFIG",
    "ChannelSettings",
    "RetryPolicy",
    "open_channel",
]

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
RELOAD_CONFIG = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"

_MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How a call that met UNAVAILABLE or RESOURCE_EXHAUSTED is repeated; never beyond the call's deadline.

    Predict, GetModelStatus and GetModelMetadata change nothing on the server, so they are safe to repeat; a
    reload of the configuration is never repeated. Each wait is spread at random, by a fifth either way.

    Attributes:
        attempts: How often a call is tried in all, 1 (no retries) to 5.
        initial_backoff: The wait before the first retry, in seconds.
        max_backoff: The longest wait, in seconds.
        multiplier: By how much the wait grows with each retry.

    Raises:
        ValueError: A value is out of range.
    """

    attempts: int = 4
    initial_backoff: float = 0.02
    max_backoff: float = 0.5
    multiplier: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= _MAX_ATTEMPTS:
            raise ValueError(f"attempts is {self.attempts}; it must be 1 to {_MAX_ATTEMPTS}.")
        if not 0 < self.initial_backoff <= self.max_backoff:
            raise ValueError("initial_backoff must be above zero and no more than max_backoff.")
        if self.multiplier < 1:
            raise ValueError("multiplier must be at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """The channel's limits and times.

    Attributes:
        max_receive_bytes: The largest reply that is accepted; gRPC's own default is 4 MiB.
        keepalive_time: Seconds of silence on a busy connection before a ping. Servers count pings that come
            more often than every 300 s as strikes and then hang up, unless they are told otherwise; the
            default stays clear.
        keepalive_timeout: Seconds to wait for a ping's answer before the connection counts as dead.
        max_reconnect_backoff: The longest pause between attempts to connect, in seconds; gRPC's own default
            of 120 s would leave a server unused for two minutes after it came back.
        retry: How calls are repeated.

    Raises:
        ValueError: A value is not above zero.
    """

    max_receive_bytes: int = 64 * 1024 * 1024
    keepalive_time: float = 330.0
    keepalive_timeout: float = 20.0
    max_reconnect_backoff: float = 2.0
    retry: RetryPolicy = RetryPolicy()

    def __post_init__(self) -> None:
        for name in ("max_receive_bytes", "keepalive_time", "keepalive_timeout", "max_reconnect_backoff"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above zero.")


def open_channel(
    target: str, settings: ChannelSettings, credentials: grpc.ChannelCredentials | None
) -> grpc.aio.Channel:
    """Opens a channel; nothing connects before the first call. Needs a running event loop.

    Args:
        target: host:port, or any gRPC target such as dns:///name:port.
        settings: The channel's limits and times.
        credentials: For TLS; None speaks plain text, as TF Serving does by default.

    Returns:
        The channel.
    """
    options = _options(settings)
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    return grpc.aio.secure_channel(target, credentials, options=options)


def _options(settings: ChannelSettings) -> list[tuple[str, int | str]]:
    max_backoff_ms = max(100, round(settings.max_reconnect_backoff * 1000))
    return [
        ("grpc.max_receive_message_length", settings.max_receive_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", round(settings.keepalive_time * 1000)),
        ("grpc.keepalive_timeout_ms", round(settings.keepalive_timeout * 1000)),
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", max_backoff_ms),
        # By default channels of one process share connections and their backoff; a closed client must leave
        # no trace.
        ("grpc.use_local_subchannel_pool", 1),
        # pick_first would pin all calls to one of several servers behind a DNS name.
        ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    ]
