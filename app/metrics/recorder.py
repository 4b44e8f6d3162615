"""What can be recorded, and the recorder that records nothing."""

from typing import Literal

import grpc

from proto_client import BreakerState

Stage = Literal["read", "queue", "decode", "inference", "encode"]
ShedReason = Literal["in_flight", "upload_memory", "decode_queue"]
ConnectionEnd = Literal["slow_head", "large_head", "made_room", "refused"]
MailOutcome = Literal["sent", "deferred", "failed", "dropped"]

CanaryMiss = Literal["absent", "failed"]
ShadowSkip = Literal["full", "absent", "same_version", "late", "failed", "too_large"]


class Recorder:
    """Takes measurements and forgets them: the one that is used where metrics are switched off.

    Subclasses keep them. Every method may be called from the event loop or from a decoding thread, is quick and never
    raises. None is ever handed a token, a byte of a picture or anything else that a caller chose freely: `route` is
    a route's template, and models and classes are named by the settings and by the model server.
    """

    def request_started(self) -> None:
        """A request came in."""

    def request_ended(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered, or its connection broke."""

    def connections_changed(self, change: int) -> None:
        """So many more (or fewer) connections are open."""

    def connection_ended(self, reason: ConnectionEnd) -> None:
        """A connection was ended because a bound was reached."""

    def work_changed(self, *, in_flight: int, upload_bytes: int) -> None:
        """So many more (or fewer) picture requests are in flight, with so many bytes set aside for them."""

    def shed(self, reason: ShedReason) -> None:
        """A request was refused because a bound was reached."""

    def limited(self, limit: str) -> None:
        """A caller was refused by this limit of its plan, or, by "unavailable", because nobody could count."""

    def limits_alone(self, *, alone: bool) -> None:
        """This process counts limits by itself, because Redis is away; or it does so no more."""

    def mail_ended(self, outcome: MailOutcome) -> None:
        """An attempt at a mail ended, or it was not wanted any more."""

    def mails_held_up(self, *, held_up: bool) -> None:
        """Mails wait, because the mail server or the database is away; or they do so no more."""

    def uploaded(self, size: int) -> None:
        """A picture of so many bytes was read whole."""

    def stage(self, stage: Stage, model: str, seconds: float) -> None:
        """A stage of a picture's way took so long."""

    def pictures_changed(self, *, waiting: int, running: int) -> None:
        """So many more (or fewer) pictures wait for a decoding thread, or are being decoded."""

    def predicted(self, *, model: str, version: int, class_id: str, probability: float) -> None:
        """A version answered, with this class as the likeliest."""

    def answered(self, *, model: str, label: str) -> None:
        """The version under this label answered: `stable` or `canary`."""

    def canary_missed(self, *, model: str, reason: CanaryMiss) -> None:
        """The stable version answered in place of the one on trial, which was not there or failed."""

    def shadow_compared(
        self, *, model: str, candidate: int, same_first: bool, total_variation: float
    ) -> None:
        """A second version saw a picture too (see `agreement.Agreement`); its number is `candidate`."""

    def shadow_skipped(self, *, model: str, reason: ShadowSkip) -> None:
        """A picture of the share that a second version should see was not compared."""

    def call_ended(self, *, method: str, model: str, code: grpc.StatusCode, seconds: float) -> None:
        """A gRPC call ended (see `proto_client.CallObserver`)."""

    def call_retried(self, *, method: str, model: str) -> None:
        """A gRPC call is tried once more (see `proto_client.CallObserver`)."""

    def retry_refused(self, *, method: str, model: str) -> None:
        """A gRPC call is not tried again, for want of budget (see `proto_client.CallObserver`)."""

    def retry_budget_changed(self, *, target: str, retries: float) -> None:
        """So many gRPC calls may be tried again now (see `proto_client.CallObserver`)."""

    def breaker_changed(self, *, target: str, state: BreakerState) -> None:
        """The breaker of a target has another state (see `proto_client.CallObserver`)."""

    def breaker_refused(self, *, method: str, model: str) -> None:
        """A gRPC call was not sent (see `proto_client.CallObserver`)."""
