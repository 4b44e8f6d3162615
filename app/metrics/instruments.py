"""The counters, gauges and histograms by name; docs/operations.md lists them with their meaning."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Answers take 5 to 500 ms, so that is where the buckets are dense; what lies beyond is only told apart coarsely, up
# to the deadline of 10 s.
REQUEST_BUCKETS: Final = (
    0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
# A stage is a part of that: the shortest (the wait for a free thread, the making of an answer) take 0.1 ms.
STAGE_BUCKETS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0,
)  # fmt: skip
# From a thumbnail to the limit of an upload, each four times the one before.
UPLOAD_BUCKETS: Final = tuple(float(4**power * 1024) for power in range(1, 8))
# Evenly, and finer near certainty, where most answers of a good model lie.
PROBABILITY_BUCKETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

# Nearly alike is what one hopes for, so there it is fine.
VARIATION_BUCKETS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Instruments:
    """All instruments of one app, in a registry of its own: two apps in one process share nothing."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"sportvision_{name}", what, labels, registry=registry)

        def gauge(name: str, what: str, *labels: str) -> Gauge:
            # Where several workers share a port, a gauge is the sum over those that live.
            return Gauge(f"sportvision_{name}", what, labels, registry=registry, multiprocess_mode="livesum")

        def histogram(name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"sportvision_{name}", what, labels, buckets=buckets, registry=registry)

        self.requests = counter("http_requests", "Answered requests.", "route", "method", "status")
        self.request_seconds = histogram(
            "http_request_duration_seconds",
            "From a request's head to its answer's last byte.",
            REQUEST_BUCKETS,
            "route",
            "status_class",
        )
        self.requests_in_flight = gauge("http_requests_in_flight", "Requests being answered.")
        self.connections = gauge("connections", "Open connections.")
        self.connections_limit = gauge("connections_limit", "The bound on open connections.")
        self.connection_ends = counter(
            "connections_ended", "Connections ended because a bound was reached.", "reason"
        )
        self.work = gauge("work_in_flight", "Picture requests let in and not yet answered.")
        self.work_limit = gauge("work_in_flight_limit", "The bound on picture requests in flight.")
        self.upload_memory = gauge("upload_memory_bytes", "Bytes set aside for uploads.")
        self.upload_memory_limit = gauge(
            "upload_memory_limit_bytes", "The bound on bytes set aside for uploads."
        )
        self.shed = counter("shed", "Requests refused because a bound was reached.", "reason")
        self.limited = counter("limited", "Requests refused by a limit of their caller's plan.", "limit")
        self.limits_alone = gauge("limits_alone", "Processes that count limits alone: Redis is away.")
        self.mails = counter("mails", "Attempts at mails, and mails no longer wanted.", "outcome")
        self.mails_held_up = gauge("mails_held_up", "Processes that cannot send: the mail server is away.")
        self.upload_bytes = histogram("upload_bytes", "Size of the pictures read whole.", UPLOAD_BUCKETS)
        self.stage_seconds = histogram(
            "stage_duration_seconds", "How long a stage took.", STAGE_BUCKETS, "stage", "model"
        )
        self.pictures = gauge("decode_pictures", "Pictures in the decoding pool.", "state")
        self.decode_queue_limit = gauge("decode_queue_limit", "How many pictures may wait for a thread.")
        self.decode_workers = gauge("decode_workers", "Decoding threads.")
        self.calls = counter("grpc_calls", "Ended calls to the model server.", "model", "method", "code")
        self.call_seconds = histogram(
            "grpc_call_duration_seconds",
            "How long calls to the model server took, retries included.",
            REQUEST_BUCKETS,
            "model",
            "method",
        )
        self.retries = counter("grpc_retries", "Attempts beyond a call's first.", "model", "method")
        self.retries_refused = counter(
            "grpc_retries_refused", "Retries not made because their budget was spent.", "model", "method"
        )
        self.retry_budget = gauge("grpc_retry_budget", "Retries that could be made now.", "target")
        self.breaker = gauge("breaker_state", "1 for the state that the breaker is in.", "target", "state")
        self.breaker_changes = counter(
            "breaker_changes", "How often the breaker came into a state.", "target", "state"
        )
        self.breaker_refused = counter(
            "breaker_refused", "Calls not sent because the breaker was open.", "model", "method"
        )
        self.top1 = histogram(
            "top1_probability",
            "Probability of the likeliest class.",
            PROBABILITY_BUCKETS,
            "model",
            "version",
        )
        self.classes = counter(
            "predicted_class", "How often each class came first.", "model", "version", "class_id"
        )
        self.answers = counter(
            "answers", "Answers by the label of the version that gave them.", "model", "label"
        )
        self.canary_misses = counter(
            "canary_misses", "Answers by the stable version in place of the canary.", "model", "reason"
        )
        self.shadow_comparisons = counter(
            "shadow_comparisons",
            "Pictures that a second version saw too, by whether both put the same class first.",
            "model",
            "candidate",
            "same_first",
        )
        self.shadow_variation = histogram(
            "shadow_total_variation",
            "How far the second version's probabilities were from the answer's, 0 to 1.",
            VARIATION_BUCKETS,
            "model",
            "candidate",
        )
        self.shadow_skips = counter(
            "shadow_skips", "Pictures meant for a second version that were not compared.", "model", "reason"
        )
