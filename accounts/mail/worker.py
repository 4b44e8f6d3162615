"""Sends what waits in the outbox, as long as the gateway runs."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, Protocol

from accounts.database import DatabaseAway
from accounts.mail.composing import ReadyMail
from accounts.mail.outbox import ClaimedMail, Outbox, jittered
from accounts.mail.senders import Connection, MailDeferred, MailRefused, MailSender

Outcome = Literal["sent", "deferred", "failed", "dropped"]

#: After this time what is broken off is told so again: a library can miss it (see `accounts.mail.opening`).
_AGAIN_SECONDS: Final = 0.5

_log = logging.getLogger(__name__)


class NotWanted(Exception):
    """Whoever the mail is for wants none, or it means nothing any more; it says why."""


class Clerk(Protocol):
    """Puts a mail of the outbox into words."""

    async def write(self, mail: ClaimedMail) -> ReadyMail:
        """Write it, as late as can be: what has changed since it was queued counts.

        Raises:
            NotWanted: It is not to be sent.
            MailDeferred: This version of the software does not know such mails; a newer replica may.
        """


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the worker looks, and how it waits.

    Attributes:
        look_every: How often it looks for mails that other processes queued; its own process wakes it.
        batch: Mails that go over one connection, at most.
        attempt: How long one mail may take; below the outbox's lease.
        last_attempt: How long what is under way may still take when the process ends.
        first_pause: After a first failure to reach the mail server or the database; doubled each time up to
            `longest_pause`.
        longest_pause: See there: how much later than necessary mails go out once the server is back.
        tidy_every: How often what is old is forgotten.
    """

    look_every: timedelta = timedelta(seconds=5)
    batch: int = 20
    attempt: timedelta = timedelta(seconds=30)
    last_attempt: timedelta = timedelta(seconds=5)
    first_pause: timedelta = timedelta(seconds=1)
    longest_pause: timedelta = timedelta(seconds=60)
    tidy_every: timedelta = timedelta(hours=1)


class MailObserver(Protocol):
    """Is told what becomes of mails."""

    def mail_ended(self, outcome: Outcome) -> None:
        """An attempt at a mail ended, or it was not wanted any more."""

    def mails_held_up(self, *, held_up: bool) -> None:
        """Mails wait, because the mail server or the database is away; or they do so no more."""


class MailWorker:
    """Any number of them may run, in any number of processes."""

    def __init__(
        self,
        outbox: Outbox,
        clerk: Clerk,
        sender: MailSender,
        pace: Pace | None = None,
        observer: MailObserver | None = None,
    ) -> None:
        """Send nothing yet.

        Raises:
            ValueError: A mail is leased for less than an attempt may take.
        """
        self._outbox = outbox
        self._clerk = clerk
        self._sender = sender
        self._pace = pace or Pace()
        self._observer = observer
        if self._pace.attempt >= outbox.rules.lease:
            raise ValueError("an attempt may not take longer than a mail is leased for")
        self._woken = asyncio.Event()
        self._failures = 0
        self._held_up_by: Exception | None = None

    def wake(self) -> None:
        """Say that there is something new in the outbox."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled. A failure, of the mail server or the database, is logged once, and so is its end."""
        _log.info("mails go to %s", self._sender.describe())
        loop = asyncio.get_running_loop()
        tidy_at = loop.time()
        while True:
            pause = self._pace.look_every
            self._woken.clear()
            try:
                if loop.time() >= tidy_at:
                    await self._outbox.forget_old()
                    tidy_at = loop.time() + self._pace.tidy_every.total_seconds()
                while await self.send_some():
                    self._recovered()
                if isinstance(self._held_up_by, DatabaseAway):
                    # With nothing to send, that the mail server is back is not known.
                    self._recovered()
            except (MailDeferred, DatabaseAway) as error:
                pause = self._failed(error)
                # What is new must wait as well.
                await asyncio.sleep(pause.total_seconds())
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause.total_seconds())

    async def send_some(self) -> int:
        """Send one batch; says how many mails were in it.

        Raises:
            MailDeferred: The mail server cannot be reached; the mails are back in the outbox.
            accounts.database.DatabaseAway: What was done is not noted. What was sent will be sent again.
        """
        claimed = await self._outbox.claim(self._pace.batch)
        if not claimed:
            return 0
        waiting = list(claimed)
        try:
            async with self._sender.connect() as connection:
                while waiting and self._outbox.still_ours(waiting[0], self._pace.attempt):
                    # Not to be given back any more: whoever gets it could send what the mail server has by now.
                    mail = waiting.pop(0)
                    await self._to_the_end(self._send(connection, mail))
        except MailDeferred:
            await self._outbox.released(waiting)
            raise
        except asyncio.CancelledError:
            # The process ends; another one need not wait until the lease does.
            with suppress(DatabaseAway):
                await self._to_the_end(self._outbox.released(waiting))
            raise
        await self._outbox.released(waiting)
        return len(claimed)

    async def _to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something whole although this is cancelled meanwhile, and then be cancelled.

        What takes longer than the last attempt may is broken off all the same; its mails are left to their lease.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + self._pace.last_attempt.total_seconds()
            while not task.done():
                left = deadline - loop.time()
                if left <= 0:
                    task.cancel()
                # Who waits for the end may ask for it again and again.
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({task}, timeout=left if left > 0 else _AGAIN_SECONDS)
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, MailDeferred):
                _log.warning("what became of the last mails is not noted: %r", error)
            raise

    async def _send(self, connection: Connection, mail: ClaimedMail) -> None:
        try:
            ready = await self._clerk.write(mail)
            await connection.deliver(ready)
        except NotWanted as error:
            await self._outbox.dropped(mail, str(error))
            self._ended("dropped")
        except MailRefused as error:
            _log.warning("a mail was refused for good: %s (%s, %s)", error, mail.kind, mail.id)
            await self._outbox.refused(mail, str(error))
            self._ended("failed")
        except MailDeferred as error:
            await self._defer(mail, error)
            if error.whole_connection:
                raise
        else:
            self._ended("sent")
            await self._outbox.sent(mail)

    async def _defer(self, mail: ClaimedMail, error: MailDeferred) -> None:
        # Also where the connection broke: a mail that breaks each must not stand in the way of all others.
        # Not given up for that, though: what refuses them all, such as a sender that is not let in, can be mended.
        if await self._outbox.deferred(mail, str(error), give_up=not error.whole_connection):
            self._ended("deferred")
        else:
            _log.warning("a mail was given up: %s (%s, %s)", error, mail.kind, mail.id)
            self._ended("failed")

    def _ended(self, outcome: Outcome) -> None:
        if self._observer is not None:
            self._observer.mail_ended(outcome)

    def _failed(self, error: Exception) -> timedelta:
        if not self._failures:
            _log.warning("mails wait: %s", error)
            self._hold_up(error)
        self._failures += 1
        return jittered(self._pace.first_pause, self._pace.longest_pause, self._failures)

    def _recovered(self) -> None:
        if self._failures:
            _log.info("mails go out again, after %d failures", self._failures)
            self._hold_up(None)
        self._failures = 0

    def _hold_up(self, error: Exception | None) -> None:
        self._held_up_by = error
        if self._observer is not None:
            self._observer.mails_held_up(held_up=error is not None)
