"""The worker against a real SMTP server: away, back, refusing, slow."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from accounts.addresses import EmailAddress
from accounts.database import Database
from accounts.mail import opening
from accounts.mail.composing import Body, Letter, ReadyMail, Sender, compose
from accounts.mail.opening import at_work
from accounts.mail.outbox import ClaimedMail, Outbox, OutboxRules
from accounts.mail.smtp_sender import SmtpSender, SmtpServer
from accounts.mail.worker import MailWorker, NotWanted, Outcome, Pace
from accounts.tables.mail import OutboxMail
from tests.support.mail_server import MailServer

PACE = Pace(
    look_every=timedelta(seconds=0.05),
    attempt=timedelta(seconds=5),
    first_pause=timedelta(seconds=0.05),
    longest_pause=timedelta(seconds=0.1),
)
PATIENT = replace(PACE, last_attempt=timedelta(seconds=60))
RULES = OutboxRules(lease=timedelta(seconds=15), first_pause=timedelta(seconds=0.1))


class PlainClerk:
    """Writes "Hello" to whoever it is; or nothing at all to some."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.unwanted: set[str] = set()
        self.faults = 0

    async def write(self, mail: ClaimedMail) -> ReadyMail:
        if self.faults:
            self.faults -= 1
            raise RuntimeError("a fault of ours")
        async with self.database.read() as session:
            row = await session.get_one(OutboxMail, mail.id)
        if row.recipient in self.unwanted:
            raise NotWanted("they left")
        return compose(
            Letter("Hello", Body("Hello\n", "<p>Hello</p>")),
            key=str(mail.id),
            sender=Sender(EmailAddress.parse("no-reply@example.org"), "Sport Vision"),
            recipient=EmailAddress.parse(row.recipient),
            made=datetime(2026, 3, 5, tzinfo=UTC),
        )


class Observer:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.held_up: list[bool] = []

    def mail_ended(self, outcome: Outcome) -> None:
        self.outcomes[outcome] += 1

    def mails_held_up(self, *, held_up: bool) -> None:
        self.held_up.append(held_up)


@pytest.fixture
def clerk(database: Database) -> PlainClerk:
    return PlainClerk(database)


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as server:
        yield server


def worker(database: Database, clerk: PlainClerk, server: MailServer) -> MailWorker:
    sender = SmtpSender(SmtpServer("127.0.0.1", server.port, "none", timeout=5, local_hostname="localhost"))
    return MailWorker(Outbox(database, RULES), clerk, sender, PACE)


@asynccontextmanager
async def working(database: Database, clerk: PlainClerk, server: MailServer) -> AsyncIterator[MailWorker]:
    async with at_work(worker(database, clerk, server)) as running:
        yield running


async def queue(database: Database, *recipients: str) -> None:
    async with database.write() as session:
        session.add_all(OutboxMail(kind="test", recipient=recipient) for recipient in recipients)


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await reached():
            await asyncio.sleep(0.02)


def states(database: Database, **wanted: int) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return await Outbox(database).counts() == wanted

    return reached


async def test_what_is_queued_goes_out_once(
    database: Database, clerk: PlainClerk, server: MailServer
) -> None:
    await queue(database, *(f"{number}@example.org" for number in range(30)))
    async with working(database, clerk, server), working(database, clerk, server):
        await until(states(database, sent=30))
    assert sorted(one.recipient for one in server.received) == sorted(f"{n}@example.org" for n in range(30))
    assert len({one.message["Message-ID"] for one in server.received}) == 30


async def test_a_wake_up_call_is_heard_at_once(
    database: Database, clerk: PlainClerk, server: MailServer
) -> None:
    slow = Pace(look_every=timedelta(hours=1), attempt=timedelta(seconds=5))
    sender = SmtpSender(SmtpServer("127.0.0.1", server.port, "none", timeout=5, local_hostname="localhost"))
    async with at_work(MailWorker(Outbox(database, RULES), clerk, sender, slow)) as running:
        for number in range(3):
            await queue(database, "a@example.org")
            running.wake()
            await until(states(database, sent=number + 1))


async def test_nothing_is_lost_while_the_server_is_away_and_it_is_said_once(
    database: Database, clerk: PlainClerk, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await server.stop()
    await queue(database, *(f"{number}@example.org" for number in range(5)))
    async with working(database, clerk, server) as running:

        async def failed_often() -> bool:
            return running._failures > 4

        await until(failed_often)
        assert await Outbox(database).counts() == {"queued": 5}
        await server.start()
        await until(states(database, sent=5))
    assert len(server.received) == 5
    said = [one.getMessage() for one in caplog.records if one.name == "accounts.mail.worker"]
    assert [words.partition(":")[0].partition(",")[0] for words in said] == [
        "mails go to SMTP server 127.0.0.1",
        "mails wait",
        "mails go out again",
    ]


async def test_what_cannot_be_sent_does_not_hinder_the_rest(
    database: Database, clerk: PlainClerk, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.recipient_answers = {
        "never@example.org": "550 <never@example.org> is nobody",
        "later@example.org": "450 greylisted",
    }
    clerk.unwanted.add("left@example.org")
    await queue(database, "never@example.org", "later@example.org", "left@example.org", "now@example.org")
    async with working(database, clerk, server):
        await until(states(database, failed=1, queued=1, dropped=1, sent=1))
        server.recipient_answers = {}
        await until(states(database, failed=1, dropped=1, sent=2))
    assert [one.recipient for one in server.received] == ["now@example.org", "later@example.org"]
    assert "example.org" not in caplog.text.replace("no-reply@example.org", "")


async def test_a_mail_that_breaks_every_connection_does_not_block_the_others(
    database: Database, clerk: PlainClerk, server: MailServer
) -> None:
    server.recipient_answers = {"poison@example.org": "421 I give up"}
    await queue(database, "poison@example.org")
    await queue(database, *(f"{number}@example.org" for number in range(3)))
    async with working(database, clerk, server):
        await until(states(database, sent=3, queued=1))


class SlowToNote(Outbox):
    """Hears that a mail is sent, and does not note it before it may."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, RULES)
        self.hears, self.may_note = asyncio.Event(), asyncio.Event()

    async def sent(self, mail: ClaimedMail) -> None:
        self.hears.set()
        await self.may_note.wait()
        await super().sent(mail)


async def cancel_twice(task: asyncio.Task[int]) -> None:
    """As a gateway that ends does: it asks again where it takes a while."""
    for _ in range(2):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)


async def test_a_sender_that_ends_notes_what_the_mail_server_has_taken(
    database: Database, clerk: PlainClerk, server: MailServer
) -> None:
    outbox = SlowToNote(database)
    await queue(database, "a@example.org", "b@example.org")
    sender = SmtpSender(SmtpServer("127.0.0.1", server.port, "none", timeout=5, local_hostname="localhost"))
    sending = asyncio.create_task(MailWorker(outbox, clerk, sender, PATIENT).send_some())
    await outbox.hears.wait()
    await cancel_twice(sending)
    outbox.may_note.set()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert await Outbox(database).counts() == {"queued": 1, "sent": 1}
    (released,) = await Outbox(database).claim(5)
    assert released.attempts == 1


async def test_a_sender_that_ends_waits_for_the_mail_server_s_answer(
    database: Database, clerk: PlainClerk, server: MailServer
) -> None:
    server.hold.clear()
    await queue(database, "a@example.org", "b@example.org")
    sender = SmtpSender(SmtpServer("127.0.0.1", server.port, "none", timeout=60, local_hostname="localhost"))
    sending = asyncio.create_task(MailWorker(Outbox(database, RULES), clerk, sender, PATIENT).send_some())
    await server.holding.wait()
    await cancel_twice(sending)
    server.hold.set()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert len(server.received) == 1
    assert await Outbox(database).counts() == {"queued": 1, "sent": 1}
    assert len(await Outbox(database).claim(5)) == 1


async def test_a_sender_that_ends_gives_back_what_it_has_not_begun_and_leaves_the_rest_to_its_lease(
    database: Database, clerk: PlainClerk, server: MailServer
) -> None:
    server.hold.clear()
    await queue(database, "a@example.org", "b@example.org")
    hasty = replace(PACE, last_attempt=timedelta(seconds=0.05))
    sender = SmtpSender(SmtpServer("127.0.0.1", server.port, "none", timeout=5, local_hostname="localhost"))
    async with at_work(MailWorker(Outbox(database, RULES), clerk, sender, hasty)):
        await server.holding.wait()
    server.hold.set()
    # What the mail server may have taken is not sent again at once.
    assert len(await Outbox(database).claim(5)) == 1
    later = Outbox(database, clock=lambda: datetime.now(UTC) + RULES.lease)
    assert len(await later.claim(5)) == 1


async def test_a_sender_that_was_killed_leaves_its_mails_to_others_in_time(
    database: Database, clerk: PlainClerk, server: MailServer
) -> None:
    await queue(database, "a@example.org")
    short = OutboxRules(lease=timedelta(seconds=0.5))
    # As a process does that is killed: claimed, and then nothing.
    (claimed,) = await Outbox(database, short).claim(1)
    async with working(database, clerk, server):
        await until(states(database, sent=1))
    assert datetime.now(UTC) >= claimed.until
    assert len(server.received) == 1


async def test_a_fault_of_ours_does_not_end_the_sending(
    database: Database,
    clerk: PlainClerk,
    server: MailServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "_RESTART_SECONDS", 0.01)
    clerk.faults = 1
    await queue(database, "a@example.org")
    sender = SmtpSender(SmtpServer("127.0.0.1", server.port, "none", timeout=5, local_hostname="localhost"))
    rules = OutboxRules(lease=timedelta(seconds=0.5))
    pace = Pace(look_every=timedelta(seconds=0.05), attempt=timedelta(seconds=0.2))
    async with at_work(MailWorker(Outbox(database, rules), clerk, sender, pace)):
        await until(states(database, sent=1))
    assert "sending mails failed, and begins again" in caplog.text
    assert "a fault of ours" in caplog.text


async def test_an_end_that_was_not_heard_is_asked_for_again(database: Database, clerk: PlainClerk) -> None:
    started = asyncio.Event()

    class Deaf(MailWorker):
        """Misses one cancellation, as asyncio.wait_for can in Python 3.11."""

        async def run(self) -> None:
            started.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            await asyncio.sleep(3600)

    sender = SmtpSender(SmtpServer("127.0.0.1", 25, "none"))
    async with asyncio.timeout(20), at_work(Deaf(Outbox(database, RULES), clerk, sender, PACE)):
        await started.wait()


async def test_what_becomes_of_mails_is_told(
    database: Database, clerk: PlainClerk, server: MailServer
) -> None:
    observer = Observer()
    server.recipient_answers = {"never@example.org": "550 no", "later@example.org": "450 later"}
    clerk.unwanted.add("left@example.org")
    await queue(database, *(f"{name}@example.org" for name in ("never", "later", "left", "now")))
    sender = SmtpSender(SmtpServer("127.0.0.1", server.port, "none", timeout=5, local_hostname="localhost"))
    await server.stop()
    async with at_work(MailWorker(Outbox(database, RULES), clerk, sender, PACE, observer)):

        async def held_up() -> bool:
            return observer.held_up == [True]

        await until(held_up)
        await server.start()
        await until(states(database, failed=1, queued=1, dropped=1, sent=1))
        server.recipient_answers = {}
        await until(states(database, failed=1, dropped=1, sent=2))
    assert observer.held_up == [True, False]
    assert observer.outcomes.pop("deferred") >= 1
    assert observer.outcomes == {"sent": 2, "failed": 1, "dropped": 1}


def test_an_attempt_must_end_before_the_lease(database: Database, clerk: PlainClerk) -> None:
    sender = SmtpSender(SmtpServer("127.0.0.1", 25, "none"))
    with pytest.raises(ValueError, match="leased"):
        MailWorker(Outbox(database, OutboxRules(lease=PACE.attempt)), clerk, sender, PACE)
