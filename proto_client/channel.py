"""How the gRPC channel is set up: size limits, balancing, keepalive, reconnection."""

import json
from dataclasses import dataclass, field

import grpc

from proto_client.breaker import BreakerSettings
from proto_client.retry_budget import RetryBudgetSettings

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
        attempt_timeout: Where there may be several servers, the first attempt is given up after so many seconds, or
            a sixteenth of what is left if that is less, so that another server can still answer; each attempt after
            that has twice the time. But never sooner than calls usually take, and not where no retry could follow.
        budget: How many retries there may be in all.

    Raises:
        ValueError: A value is out of range.
    """

    attempts: int = 4
    initial_backoff: float = 0.02
    max_backoff: float = 0.5
    multiplier: float = 2.0
    attempt_timeout: float = 2.0
    budget: RetryBudgetSettings = field(default_factory=RetryBudgetSettings)

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= _MAX_ATTEMPTS:
            raise ValueError(f"attempts is {self.attempts}; it must be 1 to {_MAX_ATTEMPTS}.")
        if not 0 < self.initial_backoff <= self.max_backoff:
            raise ValueError("initial_backoff must be above zero and no more than max_backoff.")
        if self.multiplier < 1:
            raise ValueError("multiplier must be at least 1.")
        if self.attempt_timeout <= 0:
            raise ValueError("attempt_timeout must be above zero.")


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
        look_seconds: How often, while there are calls, names in a list of servers are looked up anew, and files of
            TLS checked for renewal.
        retry: How calls are repeated.
        breaker: When calls are refused because the server does not answer.

    Raises:
        ValueError: A value is not above zero.
    """

    max_receive_bytes: int = 64 * 1024 * 1024
    keepalive_time: float = 330.0
    keepalive_timeout: float = 20.0
    max_reconnect_backoff: float = 2.0
    look_seconds: float = 10.0
    retry: RetryPolicy = RetryPolicy()
    breaker: BreakerSettings = field(default_factory=BreakerSettings)

    def __post_init__(self) -> None:
        for name in (
            "max_receive_bytes",
            "keepalive_time",
            "keepalive_timeout",
            "max_reconnect_backoff",
            "look_seconds",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above zero.")


def open_channel(
    target: str,
    settings: ChannelSettings,
    credentials: grpc.ChannelCredentials | None,
    *,
    server_name: str | None = None,
) -> grpc.aio.Channel:
    """Opens a channel; nothing connects before the first call. Needs a running event loop.

    Args:
        target: host:port, or any gRPC target such as dns:///name:port.
        settings: The channel's limits and times.
        credentials: For TLS; None speaks plain text, as TF Serving does by default.
        server_name: The name that the server's certificate must bear, where it is not the target's.

    Returns:
        The channel.
    """
    options = _options(settings)
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    if server_name is not None:
        options.append(("grpc.ssl_target_name_override", server_name))
    return grpc.aio.secure_channel(target, credentials, options=options)


# A server that hangs keeps its connection, so round_robin goes on giving it its share. gRPC's outlier detection (gRFC
# A50) looks at how calls end and leaves such a server out for a while, longer each time; never more than half of all.
# That takes nearly all of its calls to fail (85%, and at least 3 in half a second), so faults of callers, which meet
# every server alike, do not count for much. Half a second, for a call with two seconds in all makes its last attempt
# after 0.9 s: with a whole second, some met the server that hangs four times.
_BALANCING = {
    "outlier_detection_experimental": {
        "interval": "0.5s",
        "baseEjectionTime": "5s",
        "maxEjectionTime": "60s",
        "maxEjectionPercent": 50,
        "failurePercentageEjection": {
            "threshold": 85,
            "enforcementPercentage": 100,
            "minimumHosts": 2,
            "requestVolume": 3,
        },
        # pick_first, the default, would pin all calls to one of several servers behind a DNS name.
        "childPolicy": [{"round_robin": {}}],
    }
}


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
        # gRPC would send calls through a proxy that the environment names for the web's sake (http_proxy), those to
        # this very machine too.
        ("grpc.enable_http_proxy", 0),
        # By default channels of one process share connections and their backoff; a closed client must leave
        # no trace.
        ("grpc.use_local_subchannel_pool", 1),
        # A gRPC that does not know the first takes the second.
        (
            "grpc.service_config",
            json.dumps({"loadBalancingConfig": [_BALANCING, {"round_robin": {}}]}),
        ),
    ]
