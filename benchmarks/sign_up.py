"""Sign-up, measured: whether time tells known addresses from unknown ones, and how fast mails go out.

    python -m benchmarks.sign_up

A gateway in this process with a SQLite file and a folder for mails, one connection, the two kinds of addresses in
turn; then the queue's worker alone, with 1,000 mails for an SMTP server in the same process.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from random import Random

from accounts import migrating
from accounts.addresses import EmailAddress
from accounts.database import Database
from accounts.links import LinkKeys
from accounts.mail.clerk import MailClerk, MailUrls
from accounts.mail.composing import Sender
from accounts.mail.outbox import Outbox
from accounts.mail.queueing import queue_with_link
from accounts.mail.smtp_sender import SmtpSender, SmtpServer
from accounts.mail.worker import MailWorker
from accounts.tables import Account
from accounts.tables.base import now
from tests.support.mail_server import MailServer
from tests.support.self_service import open_desk, self_service_settings

PAIRS = 1000
MAILS = 1000


async def timing(folder: Path) -> None:
    """Ask for known and unknown addresses in turn, and compare the medians of the answers' times."""
    url = f"sqlite:///{folder / 'timing.sqlite3'}"
    await migrating.upgrade(url)
    database = Database(url)
    async with database.write() as session:
        for number in range(PAIRS):
            address = f"known{number}@example.org"
            session.add(Account(email=address, email_key=address, confirmed_at=now()))
    await database.close()
    seconds: dict[str, list[float]] = {"known": [], "unknown": []}
    settings = self_service_settings(url, folder / "mails", mails_per_network_per_hour=1_000_000)
    async with open_desk(settings) as desk:
        for number in range(PAIRS):
            # Which comes first is left to chance: what the machine does meanwhile must not look like a difference.
            for kind in Random(number).sample(sorted(seconds), 2):
                begun = time.perf_counter()
                answer = await desk.client.post("/accounts", json={"email": f"{kind}{number}@example.org"})
                seconds[kind].append(time.perf_counter() - begun)
                assert answer.status_code == 202
    differences = [
        known - unknown for known, unknown in zip(seconds["known"], seconds["unknown"], strict=True)
    ]
    low, high = _interval(differences)
    for kind, values in seconds.items():
        print(f"{kind}: median {statistics.median(values) * 1000:.2f} ms")
    print(
        f"median difference, known less unknown: {low * 1000:+.2f} to {high * 1000:+.2f} ms (95% bootstrap interval)"
    )


def _interval(values: list[float]) -> tuple[float, float]:
    chance = Random(1)
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[1949]


async def sending(folder: Path) -> None:
    """Send what waits in the queue."""
    url = f"sqlite:///{folder / 'sending.sqlite3'}"
    await migrating.upgrade(url)
    database, keys = Database(url), LinkKeys(b"k" * 32)
    async with database.write() as session:
        for number in range(MAILS):
            queue_with_link(
                session,
                keys,
                kind="account.confirm",
                purpose="account.confirm",
                recipient=f"reader{number}@example.org",
                moment=now(),
                lifetime=timedelta(hours=1),
            )
    urls = MailUrls(*(f"https://sport.example.org/{part}" for part in "abc"))
    sender = Sender(EmailAddress.parse("no-reply@example.org"), "Sport Vision")
    async with MailServer() as server:
        smtp = SmtpSender(SmtpServer("127.0.0.1", server.port, "none", local_hostname="localhost"))
        worker = MailWorker(Outbox(database), MailClerk(database, keys, sender, urls), smtp)
        begun, used = time.perf_counter(), time.process_time()
        while await worker.send_some():
            pass
        seconds, used = time.perf_counter() - begun, time.process_time() - used
        assert len(server.received) == MAILS
    await database.close()
    print(
        f"{MAILS} mails in {seconds:.1f} s, {MAILS / seconds:.0f} a second, over {server.connections} connections; "
        f"CPU time {used / MAILS * 1000:.1f} ms each, the mail server's included"
    )


async def main() -> None:
    """Measure both."""
    argparse.ArgumentParser(prog="python -m benchmarks.sign_up", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        await timing(Path(folder))
        await sending(Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
