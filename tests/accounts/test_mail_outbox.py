"""The queue of mails on both databases: one sender at a time, and nothing lost."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from accounts.database import Database
from accounts.mail.outbox import Outbox, OutboxRules, jittered
from accounts.tables.mail import Link, OutboxMail

RULES = OutboxRules()


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 5, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, step: timedelta) -> None:
        self.now += step


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(database: Database, clock: Clock) -> Outbox:
    return Outbox(database, RULES, clock)


async def queue(database: Database, clock: Clock, *recipients: str) -> None:
    async with database.write() as session:
        for number, recipient in enumerate(recipients):
            moment = clock() + timedelta(microseconds=number)
            session.add(
                OutboxMail(kind="test", recipient=recipient, created_at=clock(), next_attempt_at=moment)
            )
    clock.advance(timedelta(seconds=1))


async def row(database: Database, mail: uuid.UUID) -> OutboxMail:
    async with database.read() as session:
        return (await session.scalars(select(OutboxMail).where(OutboxMail.id == mail))).one()


async def test_a_mail_belongs_to_one_sender_until_its_lease_ends(
    database: Database, outbox: Outbox, clock: Clock
) -> None:
    await queue(database, clock, "a@example.org", "b@example.org", "c@example.org")
    first = await outbox.claim(2)
    second = await outbox.claim(2)
    assert (len(first), len(second)) == (2, 1)
    assert await outbox.claim(2) == []
    clock.advance(RULES.lease - timedelta(seconds=1))
    assert await outbox.claim(2) == []
    assert not outbox.still_ours(first[0], timedelta(seconds=2))
    clock.advance(timedelta(seconds=1))
    again = await outbox.claim(5)
    assert {mail.id for mail in again} == {mail.id for mail in (*first, *second)}
    assert {mail.attempts for mail in again} == {2}
    # Whoever had it before says nothing of it any more.
    await outbox.sent(first[0])
    assert (await row(database, first[0].id)).state == "queued"
    for mail in again:
        await outbox.sent(mail)
    assert await outbox.counts() == {"sent": 3}


async def test_many_senders_at_once_have_no_mail_in_common(
    database: Database, outbox: Outbox, clock: Clock
) -> None:
    await queue(database, clock, *(f"{number}@example.org" for number in range(40)))
    claims = await asyncio.gather(*(outbox.claim(7) for _ in range(8)))
    ids = [mail.id for claim in claims for mail in claim]
    assert len(ids) == len(set(ids)) > 0
    # On PostgreSQL those who came at once may have found less than there was: what another was about to take.
    while claim := await outbox.claim(7):
        ids += [mail.id for mail in claim]
    assert len(ids) == len(set(ids)) == 40


async def test_a_deferred_mail_comes_back_later_each_time(
    database: Database, outbox: Outbox, clock: Clock
) -> None:
    await queue(database, clock, "a@example.org")
    pauses = []
    for _ in range(9):
        (mail,) = await outbox.claim(1)
        assert await outbox.deferred(mail, "450 later")
        found = await row(database, mail.id)
        assert (found.last_error, found.lease) == ("450 later", None)
        pauses.append(found.next_attempt_at - clock())
        clock.advance(pauses[-1] - timedelta(seconds=1))
        assert await outbox.claim(1) == []
        clock.advance(timedelta(seconds=1))
    for number, pause in enumerate(pauses):
        whole = min(RULES.first_pause * 2**number, RULES.longest_pause)
        assert 0.75 * whole <= pause <= 1.25 * whole


async def test_a_mail_is_given_up_after_days_and_an_operator_can_send_it_again(
    database: Database, outbox: Outbox, clock: Clock
) -> None:
    await queue(database, clock, "a@example.org")
    clock.advance(RULES.give_up_after)
    (mail,) = await outbox.claim(1)
    assert await outbox.deferred(mail, "553 our sender is not let in", give_up=False)
    clock.advance(RULES.longest_pause)
    (mail,) = await outbox.claim(1)
    assert not await outbox.deferred(mail, "450 later")
    assert (await row(database, mail.id)).last_error == "given up: 450 later"
    clock.advance(RULES.keep_for + timedelta(days=1))
    await outbox.forget_old()
    assert await outbox.counts() == {"failed": 1}
    assert await outbox.claim(1) == []
    assert await outbox.retry_failed() == 1
    (mail,) = await outbox.claim(1)
    assert mail.attempts == 1
    assert await outbox.deferred(mail, "450 later")


async def test_mails_that_were_not_tried_lose_no_attempt(
    database: Database, outbox: Outbox, clock: Clock
) -> None:
    await queue(database, clock, "a@example.org", "b@example.org")
    await outbox.released(await outbox.claim(2))
    assert {mail.attempts for mail in await outbox.claim(2)} == {1}


async def test_what_is_sent_or_dropped_is_forgotten_in_time(
    database: Database, outbox: Outbox, clock: Clock
) -> None:
    await queue(database, clock, *(f"{number}@example.org" for number in range(4)))
    sent, dropped, failed, _ = await outbox.claim(4)
    await outbox.sent(sent)
    await outbox.dropped(dropped, "not wanted")
    await outbox.refused(failed, "550 no")
    await outbox.forget_old()
    assert await outbox.counts() == {"dropped": 1, "failed": 1, "queued": 1, "sent": 1}
    clock.advance(RULES.keep_for + timedelta(seconds=2))
    await outbox.forget_old()
    assert await outbox.counts() == {"failed": 1, "queued": 1}


async def test_what_failed_is_forgotten_a_month_after_it_was_last_tried(
    database: Database, outbox: Outbox, clock: Clock
) -> None:
    await queue(database, clock, "never@example.org", "again@example.org")
    for mail in await outbox.claim(2):
        await outbox.refused(mail, "550 no")
    clock.advance(RULES.keep_failed_for - timedelta(seconds=1))
    await outbox.forget_old()
    assert await outbox.retry_failed() == 2
    # Due for long, since the server was away: it is the last try that counts.
    clock.advance(timedelta(days=1))
    (mail, _) = await outbox.claim(2)
    await outbox.refused(mail, "550 no")
    clock.advance(RULES.keep_failed_for)
    await outbox.forget_old()
    assert await outbox.counts() == {"failed": 1, "queued": 1}
    clock.advance(timedelta(seconds=1))
    await outbox.forget_old()
    assert await outbox.counts() == {"queued": 1}


async def test_links_are_forgotten_a_while_after_they_ended(
    database: Database, outbox: Outbox, clock: Clock
) -> None:
    async with database.write() as session:
        for digest, age in ((b"a" * 32, RULES.keep_for * 1.1), (b"b" * 32, RULES.keep_for * 0.9)):
            session.add(Link(digest=digest, purpose="test", expires_at=clock() - age))
    await outbox.forget_old()
    async with database.read() as session:
        assert (await session.scalars(select(Link.digest))).all() == [b"b" * 32]


def test_pauses_never_overflow() -> None:
    longest = timedelta(hours=1)
    assert jittered(timedelta(seconds=30), longest, 100_000) <= 1.25 * longest
