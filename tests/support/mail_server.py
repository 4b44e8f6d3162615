"""A real SMTP server (aiosmtpd) on a loopback port, in the test's own event loop, that can be made to misbehave."""

import asyncio
import ssl
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import lru_cache
from typing import Any, Self

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = b"gateway", b"its password"


@dataclass(frozen=True)
class Received:
    """What the server took."""

    sender: str
    recipient: str
    content: bytes
    options: list[str]
    tls: bool
    login: str | None

    @property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.content, policy=default)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def text(self) -> str:
        body = self.message.get_body(("plain",))
        assert body is not None
        return str(body.get_content())


@lru_cache
def certificate_authority() -> trustme.CA:
    return trustme.CA()


def server_tls() -> ssl.SSLContext:
    """A certificate for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority().issue_cert("127.0.0.1").configure_cert(context)
    return context


def client_tls() -> ssl.SSLContext:
    """Believes the certificate for 127.0.0.1."""
    context = ssl.create_default_context()
    certificate_authority().configure_trust(context)
    return context


@dataclass
class MailServer:
    """Serves while its block runs.

    Attributes:
        received: The mails that it said 250 to, in order.
        recipient_answers: What it says to a recipient, in place of 250, by address.
        data_answers: What it says to the next mails, first one first; 250 once there is none left.
        sender_answer: What it says to every sender.
        hold: While it is clear, no mail is answered.
        holding: Set once a mail waits for `hold`.
        smtputf8: Whether it offers SMTPUTF8.
        tls: `starttls` or `tls` for a server that has a certificate.
        login: Whether it wants a login.
    """

    smtputf8: bool = True
    tls: str = "none"
    login: bool = False
    received: list[Received] = field(default_factory=list)
    recipient_answers: dict[str, str] = field(default_factory=dict)
    data_answers: list[str] = field(default_factory=list)
    sender_answer: str | None = None
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    connections: int = 0
    _server: asyncio.Server | None = None
    _protocols: list[SMTP] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self.hold.set()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; on the same port as before, if there was one."""
        tls = server_tls() if self.tls == "tls" else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and break every connection."""
        assert self._server is not None
        self._server.close()
        tasks = []
        for protocol in self._protocols:
            if protocol.transport is not None:
                protocol.transport.close()
            if protocol._handler_coroutine is not None:
                protocol._handler_coroutine.cancel()
                tasks.append(protocol._handler_coroutine)
        self._protocols.clear()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _protocol(self) -> SMTP:
        self.connections += 1
        protocol = SMTP(
            self,
            hostname="mail.example.org",
            enable_SMTPUTF8=self.smtputf8,
            tls_context=server_tls() if self.tls == "starttls" else None,
            require_starttls=self.tls == "starttls",
            auth_required=self.login,
            auth_require_tls=self.login,
            authenticator=self._check_login,
            loop=asyncio.get_running_loop(),
        )
        self._protocols.append(protocol)
        return protocol

    def _check_login(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        good = (given.login, given.password) == (USER, PASSWORD)
        return AuthResult(success=good, handled=False, auth_data=given.login.decode())

    async def handle_MAIL(  # noqa: N802
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.sender_answer is not None:
            return self.sender_answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        answer = self.recipient_answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.holding.set()
        await self.hold.wait()
        answer = self.data_answers.pop(0) if self.data_answers else "250 OK"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            assert envelope.mail_from is not None
            self.received += [
                Received(
                    envelope.mail_from,
                    recipient,
                    envelope.content,
                    envelope.mail_options,
                    tls=session.ssl is not None or self.tls == "tls",
                    login=session.auth_data,
                )
                for recipient in envelope.rcpt_tos
            ]
        return answer
