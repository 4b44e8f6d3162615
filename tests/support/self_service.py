"""A gateway with accounts, whose mails are files in a folder."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from app.settings import Settings
from tests.support.gateway import gateway_client, gateway_settings

SECRET = "a-secret-key-for-the-tests-of-accounts"
PUBLIC_URL = "https://sport.example.org"
_DEADLINE_SECONDS = 20


@dataclass(frozen=True)
class Mailbox:
    """The folder of mails."""

    folder: Path

    def all(self) -> list[EmailMessage]:
        """Every mail there is, oldest first."""
        files = sorted(self.folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
        found = [message_from_bytes(path.read_bytes(), policy=default) for path in files]
        assert all(isinstance(message, EmailMessage) for message in found)
        return [message for message in found if isinstance(message, EmailMessage)]

    def to(self, address: str) -> list[EmailMessage]:
        """Every mail to an address."""
        return [message for message in self.all() if message["To"] == address]

    async def wait(self, address: str, number: int = 1) -> EmailMessage:
        """Wait for so many mails to an address; gives the last."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while len(found := self.to(address)) < number:
                await asyncio.sleep(0.02)
        return found[number - 1]


def text_of(message: EmailMessage) -> str:
    """The plain text of a mail."""
    body = message.get_body(("plain",))
    assert body is not None
    return "\n".join(str(body.get_content()).splitlines())


def path_in(message: EmailMessage) -> str:
    """The path of the one link in a mail."""
    found: list[str] = re.findall(rf"^{re.escape(PUBLIC_URL)}/\S+$", text_of(message), re.MULTILINE)
    assert len(found) == 1
    return urlsplit(found[0]).path


def self_service_settings(database_url: str, folder: Path, **changes: object) -> Settings:
    """Settings of a gateway with accounts and without a model server."""
    values = {
        "accounts": True,
        "secret_key": SECRET,
        "database_url": database_url,
        "mail_folder": folder,
        "public_url": PUBLIC_URL,
        "mails_per_network_per_hour": 1000,
        "mail_poll_seconds": 0.1,
        **changes,
    }
    return gateway_settings("127.0.0.1:1", **values)


def check_problem(answer: httpx.Response, status: int, slug: str) -> str:
    """Check what a refusal is, and give its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:sportvision:problem:{slug}"
    return str(problem["detail"])


@dataclass(frozen=True)
class Desk:
    """A gateway, somebody who asks it, and the mails that it sends."""

    client: httpx.AsyncClient
    mailbox: Mailbox

    async def sign_in(self, address: str) -> dict[str, object]:
        """Ask for an account, follow the link, and be the one with its token from now on."""
        number = len(self.mailbox.to(address)) + 1
        asked = await self.client.post("/accounts", json={"email": address})
        assert asked.status_code == 202, asked.text
        answer = await self.client.post(path_in(await self.mailbox.wait(address, number)))
        assert answer.status_code == 200, answer.text
        content: dict[str, object] = answer.json()
        self.client.headers["Authorization"] = f"Bearer {content['token']}"
        return content

    async def subscribe(self, address: str) -> None:
        """Be on the mailing list."""
        number = len(self.mailbox.to(address)) + 1
        asked = await self.client.post("/mailing-list/subscriptions", json={"email": address})
        assert asked.status_code == 202, asked.text
        answer = await self.client.post(path_in(await self.mailbox.wait(address, number)))
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """Serve a gateway; the client carries no token."""
    async with gateway_client(settings) as client:
        del client.headers["Authorization"]
        yield Desk(client, Mailbox(settings.mail_folder))
