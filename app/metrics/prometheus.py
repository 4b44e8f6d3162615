"""The recorder that keeps what it is told, for Prometheus."""

import os
from dataclasses import dataclass
from functools import lru_cache

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram

from app.metrics.instruments import Instruments
from app.metrics.predictions import MAX_VERSIONS, OTHER, PredictionMetrics
from app.metrics.recorder import (
    CanaryMiss,
    ConnectionEnd,
    MailOutcome,
    Recorder,
    ShadowSkip,
    ShedReason,
    Stage,
)
from proto_client import BreakerState

#: Where the worker processes that share a port keep their values, so that each can show those of all. The library
#: reads it too, when it is imported.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds that one process works under; shown beside what they bound, so that alerts need no numbers.

    Attributes:
        connections: Open connections.
        work: Picture requests in flight.
        upload_bytes: Bytes set aside for uploads.
        decode_queue: Pictures that wait for a decoding thread.
        decode_workers: Decoding threads.
    """

    connections: int
    work: int
    upload_bytes: int
    decode_queue: int
    decode_workers: int


class PrometheusRecorder(Recorder):
    """Keeps measurements in a registry of its own.

    Attributes:
        registry: What this process has measured.
        shared_folder: Where all workers of this gateway keep their measurements; None for a single process.
    """

    def __init__(self, limits: Limits) -> None:
        self.registry = CollectorRegistry()
        self.shared_folder = os.environ.get(FOLDER_VARIABLE)
        self._instruments = to = Instruments(self.registry)
        to.connections_limit.set(limits.connections)
        to.work_limit.set(limits.work)
        to.upload_memory_limit.set(limits.upload_bytes)
        to.decode_queue_limit.set(limits.decode_queue)
        to.decode_workers.set(limits.decode_workers)
        self._waiting = to.pictures.labels("waiting")
        self._running = to.pictures.labels("running")
        # The second versions that have series, in the order in which they came.
        self._candidates: dict[tuple[str, int], None] = {}
        self._predictions = PredictionMetrics(to.top1, to.classes, removable=self.shared_folder is None)
        # To look a series up by its labels takes the library longer than to count in it. All of these labels are few.
        self._request = lru_cache(256)(self._request_series)
        self._stage = lru_cache(64)(to.stage_seconds.labels)
        self._call = lru_cache(256)(self._call_series)

    def _request_series(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        to = self._instruments
        status_class = f"{status // 100}xx"
        return to.requests.labels(route, method, status), to.request_seconds.labels(route, status_class)

    def _call_series(self, model: str, method: str, code: str) -> tuple[Counter, Histogram]:
        to = self._instruments
        return to.calls.labels(model, method, code), to.call_seconds.labels(model, method)

    def request_started(self) -> None:
        """See `Recorder`."""
        self._instruments.requests_in_flight.inc()

    def request_ended(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """See `Recorder`."""
        self._instruments.requests_in_flight.dec()
        counter, histogram = self._request(route, method, status)
        counter.inc()
        histogram.observe(seconds)

    def connections_changed(self, change: int) -> None:
        """See `Recorder`."""
        self._instruments.connections.inc(change)

    def connection_ended(self, reason: ConnectionEnd) -> None:
        """See `Recorder`."""
        self._instruments.connection_ends.labels(reason).inc()

    def work_changed(self, *, in_flight: int, upload_bytes: int) -> None:
        """See `Recorder`."""
        if in_flight:
            self._instruments.work.inc(in_flight)
        self._instruments.upload_memory.inc(upload_bytes)

    def shed(self, reason: ShedReason) -> None:
        """See `Recorder`."""
        self._instruments.shed.labels(reason).inc()

    def limited(self, limit: str) -> None:
        """See `Recorder`."""
        self._instruments.limited.labels(limit).inc()

    def limits_alone(self, *, alone: bool) -> None:
        """See `Recorder`."""
        self._instruments.limits_alone.set(alone)

    def mail_ended(self, outcome: MailOutcome) -> None:
        """See `Recorder`."""
        self._instruments.mails.labels(outcome).inc()

    def mails_held_up(self, *, held_up: bool) -> None:
        """See `Recorder`."""
        self._instruments.mails_held_up.set(held_up)

    def uploaded(self, size: int) -> None:
        """See `Recorder`."""
        self._instruments.upload_bytes.observe(size)

    def stage(self, stage: Stage, model: str, seconds: float) -> None:
        """See `Recorder`."""
        self._stage(stage, model).observe(seconds)

    def pictures_changed(self, *, waiting: int, running: int) -> None:
        """See `Recorder`."""
        if waiting:
            self._waiting.inc(waiting)
        if running:
            self._running.inc(running)

    def predicted(self, *, model: str, version: int, class_id: str, probability: float) -> None:
        """See `Recorder`."""
        self._predictions.add(model, version, class_id, probability)

    def answered(self, *, model: str, label: str) -> None:
        """See `Recorder`."""
        self._instruments.answers.labels(model, label).inc()

    def canary_missed(self, *, model: str, reason: CanaryMiss) -> None:
        """See `Recorder`."""
        self._instruments.canary_misses.labels(model, reason).inc()

    def shadow_compared(
        self, *, model: str, candidate: int, same_first: bool, total_variation: float
    ) -> None:
        """See `Recorder`."""
        key = (model, candidate)
        if key not in self._candidates and len(self._candidates) < MAX_VERSIONS:
            self._candidates[key] = None
        version = str(candidate) if key in self._candidates else OTHER
        to = self._instruments
        to.shadow_comparisons.labels(model, version, str(same_first).lower()).inc()
        to.shadow_variation.labels(model, version).observe(total_variation)

    def shadow_skipped(self, *, model: str, reason: ShadowSkip) -> None:
        """See `Recorder`."""
        self._instruments.shadow_skips.labels(model, reason).inc()

    def call_ended(self, *, method: str, model: str, code: grpc.StatusCode, seconds: float) -> None:
        """See `Recorder`."""
        counter, histogram = self._call(model, method, code.name)
        counter.inc()
        histogram.observe(seconds)

    def call_retried(self, *, method: str, model: str) -> None:
        """See `Recorder`."""
        self._instruments.retries.labels(model, method).inc()

    def retry_refused(self, *, method: str, model: str) -> None:
        """See `Recorder`."""
        self._instruments.retries_refused.labels(model, method).inc()

    def retry_budget_changed(self, *, target: str, retries: float) -> None:
        """See `Recorder`."""
        self._instruments.retry_budget.labels(target).set(retries)

    def breaker_changed(self, *, target: str, state: BreakerState) -> None:
        """See `Recorder`."""
        for possible in BreakerState:
            self._instruments.breaker.labels(target, possible.value).set(possible is state)
        self._instruments.breaker_changes.labels(target, state.value).inc()

    def breaker_refused(self, *, method: str, model: str) -> None:
        """See `Recorder`."""
        self._instruments.breaker_refused.labels(model, method).inc()
