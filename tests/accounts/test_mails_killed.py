"""Mails are promised by a real gateway that is killed with SIGKILL under load, again and again. None may be lost.

`python -m pytest tests/accounts/test_mails_killed.py -rP` prints what was counted.
"""

import asyncio
import os
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.mail_server import MailServer
from tests.support.processes import free_port, listens, running_module, wait_until

CLIENTS = 8
KILLS = 2
PROMISES_EACH = 40


@dataclass
class Load:
    """Clients that sign up, each time with another address, until they are stopped.

    Attributes:
        url: The gateway.
        promised: Every address to which a mail was promised with 202.
    """

    url: str
    promised: list[str] = field(default_factory=list)
    asked: int = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as clients:
            for _ in range(CLIENTS):
                clients.create_task(self._client())

    async def _client(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=20) as client:
            while True:
                self.asked += 1
                address = f"reader{self.asked}@example.org"
                try:
                    answer = await client.post("/accounts", json={"email": address})
                except httpx.TransportError:
                    # The gateway was killed; nothing was promised, though a mail may come.
                    return
                assert answer.status_code == 202, answer.text
                self.promised.append(address)


def environment(database_url: str, mail_port: int, port: int) -> dict[str, str]:
    values = {
        "ACCOUNTS": "true",
        "SECRET_KEY": "a-secret-key-for-the-tests-of-accounts",
        "DATABASE_URL": database_url,
        "DATABASE_MIGRATE": "false",
        "TOKENS": "a-token-for-the-tests",
        "PORT": str(port),
        "METRICS": "false",
        "DRAIN_SECONDS": "0",
        "MODEL_SERVER": "127.0.0.1:1",
        "PUBLIC_URL": "https://sport.example.org",
        "MAIL_FROM": "no-reply@example.org",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail_port),
        "SMTP_TLS": "none",
        "SMTP_HELLO": "localhost",
        "SMTP_TIMEOUT_SECONDS": "2",
        "MAILS_PER_NETWORK_PER_HOUR": "1000000",
    }
    return {f"SPORTVISION_{name}": value for name, value in values.items()}


async def test_no_promised_mail_is_lost(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    load = Load(f"http://127.0.0.1:{port}")
    async with MailServer() as server:
        settings = environment(database_url, server.port, port)
        for number in range(KILLS):
            with running_module("app", log=tmp_path / f"log{number}", environment=settings) as process:
                await started(process, port, tmp_path / f"log{number}")
                await kill_under_load(process, load, server)
        waiting = set(load.promised) - {one.recipient for one in server.received}
        with running_module("app", log=tmp_path / "log", environment=settings) as process:
            await started(process, port, tmp_path / "log")
            async with asyncio.timeout(60):
                while set(load.promised) - {one.recipient for one in server.received}:
                    await asyncio.sleep(0.05)
    mails = Counter(str(one.message["Message-ID"]) for one in server.received)
    doubled = sum(1 for number in mails.values() if number > 1)
    print(
        f"{KILLS} kills, {len(load.promised)} mails promised, {len(waiting)} of them not sent at the last kill, 0 "
        f"lost, {doubled} sent twice under the same Message-ID"
    )
    assert len(set(load.promised)) == len(load.promised) >= KILLS * PROMISES_EACH
    # A kill can double what was between the server's word and ours: at most the mail in flight.
    assert doubled <= KILLS


async def started(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    await asyncio.to_thread(wait_until, "gateway", lambda: listens(port), process, log)


async def kill_under_load(process: subprocess.Popen[bytes], load: Load, server: MailServer) -> None:
    """Kill it while mails wait, while others are being asked for, and while one is at the mail server."""
    before = len(load.promised)
    clients = asyncio.create_task(load.run())
    async with asyncio.timeout(60):
        while len(load.promised) < before + PROMISES_EACH // 2:
            assert not clients.done()
            await asyncio.sleep(0.01)
        server.hold.clear()
        server.holding.clear()
        await server.holding.wait()
        while len(load.promised) < before + PROMISES_EACH:
            assert not clients.done()
            await asyncio.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        await clients
        server.hold.set()
