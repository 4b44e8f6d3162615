"""The queue of mails in the database: who may send which, and what became of it."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Final

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, update

from accounts.database import Database
from accounts.links import forget_links
from accounts.tables.base import now
from accounts.tables.mail import OutboxMail
from accounts.tables.mailing_list import ListMessage

_random: Final = SystemRandom()


@dataclass(frozen=True, slots=True)
class OutboxRules:
    """How patient the queue is.

    Attributes:
        lease: How long a claimed mail belongs to its sender. One whose sender was killed waits for so long.
        first_pause: Between the first attempt at a mail that was deferred, and the second; then twice as long each
            time, up to `longest_pause`, each a quarter more or less.
        longest_pause: See there.
        give_up_after: A mail of this age that is deferred once more is given up. RFC 5321, section 4.5.4.1, asks for
            four or five days.
        keep_for: How long mails are remembered that were sent or dropped.
        keep_failed_for: How long mails are remembered that failed, after the last attempt: an operator's time to mend
            what is wrong and to queue them again.
    """

    lease: timedelta = timedelta(seconds=90)
    first_pause: timedelta = timedelta(seconds=30)
    longest_pause: timedelta = timedelta(hours=1)
    give_up_after: timedelta = timedelta(days=5)
    keep_for: timedelta = timedelta(days=7)
    keep_failed_for: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ClaimedMail:
    """A mail that nobody else sends before `until`."""

    id: uuid.UUID
    lease: uuid.UUID
    until: datetime
    kind: str
    attempts: int
    created_at: datetime


class Outbox:
    """Sees to it that each mail is sent by one sender at a time, and by another where that one dies.

    Between the mail server's word that it has a mail and the note of it in the database, a sender can be killed; then
    the mail goes out twice, with the same Message-ID. It can never be lost: nothing but the server's word removes it
    from the queue.

    Replicas compare moments, so their clocks must agree to within a few seconds.
    """

    def __init__(
        self, database: Database, rules: OutboxRules | None = None, clock: Callable[[], datetime] = now
    ) -> None:
        self._database = database
        self.rules = rules or OutboxRules()
        self._clock = clock

    async def claim(self, limit: int) -> Sequence[ClaimedMail]:
        """Take up to so many mails that are due: those to one person first, then those to the list, by age.

        Raises:
            accounts.database.DatabaseAway: See there.
        """
        moment = self._clock()
        # Looking comes first, for it takes no lock, and mostly there is nothing.
        async with self._database.read() as session:
            if not await session.scalar(select(select(OutboxMail.id).where(_due(moment)).exists())):
                return []
        until, lease = moment + self.rules.lease, uuid.uuid4()
        async with self._database.write() as session:
            to_the_list = case((OutboxMail.list_message_id.is_(None), 0), else_=1)
            rows = await session.scalars(
                select(OutboxMail)
                .where(_due(moment))
                .order_by(to_the_list, OutboxMail.next_attempt_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            claimed = []
            for row in rows:
                row.lease, row.leased_until, row.attempts = lease, until, row.attempts + 1
                claimed.append(ClaimedMail(row.id, lease, until, row.kind, row.attempts, row.created_at))
        return claimed

    def still_ours(self, mail: ClaimedMail, needed: timedelta) -> bool:
        """Say whether the lease holds for as long as an attempt may take."""
        return self._clock() + needed < mail.until

    async def sent(self, mail: ClaimedMail) -> None:
        """Note that the mail server has it."""
        await self._end(mail, state="sent", sent_at=self._clock(), last_error=None)

    async def refused(self, mail: ClaimedMail, reason: str) -> None:
        """Note that it cannot be sent; an operator can queue it again."""
        # Also the moment of the attempt, by which it is forgotten.
        await self._end(mail, state="failed", next_attempt_at=self._clock(), last_error=reason[:500])

    async def dropped(self, mail: ClaimedMail, reason: str) -> None:
        """Note that it is not wanted any more."""
        await self._end(mail, state="dropped", last_error=reason[:500])

    async def deferred(self, mail: ClaimedMail, reason: str, *, give_up: bool = True) -> bool:
        """Put it back for a later attempt; says whether there will be one.

        Args:
            mail: The mail.
            reason: Why it did not go out.
            give_up: Whether it is given up where it is old enough.
        """
        moment = self._clock()
        if give_up and moment - mail.created_at > self.rules.give_up_after:
            await self.refused(mail, f"given up: {reason}")
            return False
        pause = jittered(self.rules.first_pause, self.rules.longest_pause, mail.attempts)
        await self._end(mail, next_attempt_at=moment + pause, last_error=reason[:500])
        return True

    async def released(self, mails: Sequence[ClaimedMail]) -> None:
        """Put mails of one claim back that were not tried; that does not count as an attempt."""
        if mails:
            await self._end(*mails, attempts=OutboxMail.attempts - 1)

    async def _end(self, *mails: ClaimedMail, **values: object) -> None:
        # Of the lease that was given out here only: another sender may have the mail by now.
        ids, lease = [mail.id for mail in mails], mails[0].lease
        async with self._database.write() as session:
            await session.execute(
                update(OutboxMail)
                .where(OutboxMail.id.in_(ids), OutboxMail.lease == lease)
                .values(lease=None, leased_until=None, **values)
                .execution_options(synchronize_session=False)
            )

    async def retry_failed(self) -> int:
        """Queue every mail again that was given up; says how many."""
        async with self._database.write() as session:
            found = await session.execute(
                update(OutboxMail)
                .where(OutboxMail.state == "failed")
                # Anew in every way: an old mail would else be given up at its first deferral.
                .values(state="queued", attempts=0, next_attempt_at=self._clock(), created_at=self._clock())
                .returning(OutboxMail.id)
                .execution_options(synchronize_session=False)
            )
            return len(found.all())

    async def counts(self) -> dict[str, int]:
        """How many mails there are in each state."""
        async with self._database.read() as session:
            rows = await session.execute(
                select(OutboxMail.state, func.count()).group_by(OutboxMail.state).order_by(OutboxMail.state)
            )
            return {row[0]: row[1] for row in rows}

    async def forget_old(self) -> None:
        """Remove what was sent, dropped or given up long enough ago, and links that ended, addresses and all."""
        moment = self._clock()
        before = moment - self.rules.keep_for
        ended = and_(OutboxMail.state.in_(("sent", "dropped")), OutboxMail.created_at < before)
        failed = and_(
            OutboxMail.state == "failed", OutboxMail.next_attempt_at < moment - self.rules.keep_failed_for
        )
        async with self._database.write() as session:
            await session.execute(
                delete(OutboxMail)
                .where(
                    or_(ended, failed),
                    # Who has had a message of which not all mails are queued yet must be known until they are.
                    or_(
                        OutboxMail.list_message_id.is_(None),
                        OutboxMail.list_message_id.in_(
                            select(ListMessage.id).where(ListMessage.completed_at.is_not(None))
                        ),
                    ),
                )
                .execution_options(synchronize_session=False)
            )
            # Until then, whoever follows one is told that it is over rather than that there is none.
            await forget_links(session, before)


def _due(moment: datetime) -> ColumnElement[bool]:
    free = or_(OutboxMail.leased_until.is_(None), OutboxMail.leased_until <= moment)
    return and_(OutboxMail.state == "queued", OutboxMail.next_attempt_at <= moment, free)


def jittered(first: timedelta, longest: timedelta, attempts: int) -> timedelta:
    """Say how long to wait after so many attempts: doubled each time, and a quarter more or less.

    The last is there so that those who failed together do not come back together.

    Args:
        first: After the first attempt.
        longest: The most, before the quarter.
        attempts: How many there were, at least 1.
    """
    # Cut before it is raised: 2 to the power of some thousand attempts is no float.
    pause = min(first * (1 << min(attempts - 1, 30)), longest)
    return pause * _random.uniform(0.75, 1.25)
