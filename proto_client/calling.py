"""How a call is made: through the breaker, with retries within a budget, on the channel in use."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from proto_client.breaker import Admission, Breaker, BreakerState, Verdict
from proto_client.channel import ChannelSettings, RetryPolicy
from proto_client.errors import CircuitOpen, InvalidReply, ModelServerError, error_for
from proto_client.link import Link, UnresolvedError
from proto_client.observer import CallObserver
from proto_client.retry_budget import RetryBudget
from proto_client.retrying import Attempts, with_retries
from proto_client.usual_time import UsualTime

__all__ = ["Caller", "Method"]

_Reply = TypeVar("_Reply", bound=Message)

_log = logging.getLogger(__name__)

_ONCE = RetryPolicy(attempts=1)
# TensorFlow Serving's own words where a batch queue is full: the server is busy, not dead, and refusing all work for
# some seconds would only waste what it can do.
_QUEUE_FULL = "batch scheduling queue"


@dataclass(frozen=True, slots=True)
class Method:
    """A gRPC method.

    Attributes:
        path: With its service, as gRPC wants it.
        repeatable: Whether it may be sent again.
        guarded: Whether the breaker judges it, and may refuse it. What is not guarded is asked seldom, and by its
            answers the breaker hears when a server is back.
    """

    path: str
    repeatable: bool = True
    guarded: bool = False

    @property
    def name(self) -> str:
        """Without its service."""
        return self.path.rpartition("/")[2]


class Caller:
    """Makes calls to one target, messages in and messages out. Needs a running event loop.

    Args:
        target: What it is called to the observer.
        link: The channel.
        several: Whether there may be more than one server behind it.
        settings: The rest.
        observer: Is told of retries, and of breaker and budget.
        call_metadata: Makes the metadata that a call carries.
        clock: Seconds that only grow, for breaker and budget.
    """

    def __init__(
        self,
        target: str,
        link: Link,
        *,
        several: bool,
        settings: ChannelSettings,
        observer: CallObserver | None,
        call_metadata: Callable[[], Sequence[tuple[str, str]]] | None,
        clock: Callable[[], float],
    ) -> None:
        self._target = target
        self._link = link
        self._several = several
        self._settings = settings
        self._observer = observer
        self._call_metadata = call_metadata
        self._closed = False
        self._usual: defaultdict[str, UsualTime] = defaultdict(UsualTime)
        self._budget = RetryBudget(settings.retry.budget, clock)
        self._budget_told = -1.0
        self._fault = ""
        self._fault_told = False
        self.breaker = Breaker(settings.breaker, on_change=self._on_breaker, clock=clock)
        if observer is not None:
            observer.breaker_changed(target=target, state=self.breaker.state)

    async def close(self, grace: float | None) -> None:
        """Close the channel."""
        self._closed = True
        await self._link.close(grace)

    async def call(
        self,
        method: Method,
        request: Message | bytes,
        reply_type: type[_Reply],
        *,
        model: str,
        seconds: float,
    ) -> _Reply:
        """Make a call, with its retries.

        Args:
            method: What is called.
            request: What is sent, serialised or not.
            reply_type: What is answered.
            model: Whom it is about, for the observer.
            seconds: For all of it.

        Raises:
            CircuitOpen: The breaker is open, or this was the call that should show whether it can be closed, and it
                cannot.
            InvalidReply: The reply is no such message.
            ModelServerError: The call failed.
        """
        if seconds <= 0:
            raise error_for(grpc.StatusCode.DEADLINE_EXCEEDED, "There was no time left for the call.")
        admission = self._admit(method, model)
        code = grpc.StatusCode.CANCELLED
        started = time.perf_counter()
        try:
            content = request if isinstance(request, bytes) else request.SerializeToString()
            answer = await self._judged(method, content, model, seconds, admission)
            # Parsed here, not by grpc.aio: that would turn a reply that cannot be parsed into None.
            reply = _parse(answer, reply_type)
            code = grpc.StatusCode.OK
        except ModelServerError as error:
            code = error.code
            raise
        finally:
            if self._observer is not None:
                taken = time.perf_counter() - started
                self._observer.call_ended(method=method.name, model=model, code=code, seconds=taken)
                self._tell_budget(self._observer)
        return reply

    async def _judged(
        self, method: Method, content: bytes, model: str, seconds: float, admission: Admission | None
    ) -> bytes:
        """Make a call, and tell the breaker how it ended."""
        usual = self._usual[method.path]
        probe = admission is not None and admission.probe
        if probe:
            # Others are refused until this one is over; so it does not wait for as long as it might.
            seconds = min(seconds, max(self._settings.retry.attempt_timeout, usual.at_most))
        verdict = Verdict.NOTHING
        try:
            reply = await self._send(method, content, model, seconds, usual)
            verdict = Verdict.ALIVE
        except ModelServerError as error:
            verdict = self._verdict(error, seconds, usual)
            if verdict is Verdict.DEAD:
                self._fault = str(error)
            if probe and verdict is Verdict.DEAD:
                raise CircuitOpen(self._settings.breaker.open_seconds) from error
            raise
        finally:
            if admission is not None:
                self.breaker.record(admission, verdict)
            else:
                self.breaker.hear(verdict)
        return reply

    def _admit(self, method: Method, model: str) -> Admission | None:
        if not method.guarded or not self._settings.breaker.enabled:
            return None
        try:
            return self.breaker.admit()
        except CircuitOpen:
            if self._observer is not None:
                self._observer.breaker_refused(method=method.name, model=model)
            raise

    async def _send(
        self, method: Method, content: bytes, model: str, seconds: float, usual: UsualTime
    ) -> bytes:
        metadata = tuple(self._call_metadata()) if self._call_metadata is not None else None

        async def attempt(given: float) -> bytes:
            started = time.perf_counter()
            reply = await self._attempt(method, content, given, metadata)
            usual.add(time.perf_counter() - started)
            return reply

        def on_retry() -> None:
            if self._observer is not None:
                self._observer.call_retried(method=method.name, model=model)

        def on_refused() -> None:
            if self._observer is not None:
                self._observer.retry_refused(method=method.name, model=model)

        self._budget.deposit()
        policy = self._settings.retry if method.repeatable else _ONCE
        attempts = Attempts(policy, self._budget, self._several, usual, on_retry, on_refused)
        left = await self._ready(seconds)
        try:
            return await with_retries(attempt, attempts, left)
        except grpc.aio.AioRpcError as error:
            raise error_for(error.code(), error.details()) from error

    async def _ready(self, seconds: float) -> float:
        """Wait until it is known where the servers are; the seconds that are left then for the call."""
        self._check_open()
        started = time.monotonic()
        try:
            await self._link.ready(seconds)
        except TimeoutError:
            message = f"The names in {self._target} were not looked up in time."
            raise error_for(grpc.StatusCode.DEADLINE_EXCEEDED, message) from None
        return seconds - (time.monotonic() - started)

    async def _attempt(
        self, method: Method, content: bytes, seconds: float, metadata: tuple[tuple[str, str], ...] | None
    ) -> bytes:
        self._check_open()
        try:
            return await self._link.invoke(method.path)(content, timeout=seconds, metadata=metadata)
        except UnresolvedError as error:
            raise error_for(grpc.StatusCode.UNAVAILABLE, str(error)) from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                # Closing the channel cancels its calls; the caller was not cancelled, and must not seem so.
                raise error_for(grpc.StatusCode.CANCELLED, "The client was closed during the call.") from None
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise error_for(grpc.StatusCode.CANCELLED, "The client is closed.")

    def _verdict(self, error: ModelServerError, seconds: float, usual: UsualTime) -> Verdict:
        """What a failed call says of the server: whoever answers, with whatever, is alive."""
        if error.code is grpc.StatusCode.UNAVAILABLE:
            return Verdict.ALIVE if _QUEUE_FULL in error.message else Verdict.DEAD
        if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            enough = max(self._settings.breaker.min_wait, usual.at_most)
            return Verdict.DEAD if seconds >= enough else Verdict.NOTHING
        return Verdict.NOTHING if error.code is grpc.StatusCode.CANCELLED else Verdict.ALIVE

    def _on_breaker(self, state: BreakerState) -> None:
        if state is BreakerState.CLOSED:
            _log.info("%s answers again; the breaker is closed", self._target)
            self._fault_told = False
        elif state is BreakerState.OPEN and not self._fault_told:
            # Once: it opens anew with every probe that fails.
            _log.warning("%s does not answer; the breaker is open (%s)", self._target, self._fault)
            self._fault_told = True
        if self._observer is not None:
            self._observer.breaker_changed(target=self._target, state=state)

    def _tell_budget(self, observer: CallObserver) -> None:
        tokens = self._budget.tokens
        if abs(tokens - self._budget_told) >= 1:
            self._budget_told = tokens
            observer.retry_budget_changed(target=self._target, retries=tokens)


def _parse(content: bytes, reply_type: type[_Reply]) -> _Reply:
    try:
        return reply_type.FromString(content)
    except DecodeError as error:
        raise InvalidReply(f"The reply is no {reply_type.DESCRIPTOR.name}: {error}") from error
