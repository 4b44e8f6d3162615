"""Mails to a mail server by SMTP (RFC 5321), and what its answers mean for them."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal

import aiosmtplib

from accounts.mail.composing import ReadyMail
from accounts.mail.senders import MailDeferred, MailRefused

TlsMode = Literal["none", "starttls", "tls"]

_ADDRESS: Final = re.compile(r"[^\s<>@\"']+@[^\s<>@\"',;:]+")
_CLOSING: Final = 421
_QUIT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A mail server and how to talk to it.

    Attributes:
        host: Its name, which its certificate must be for.
        port: Its port.
        tls: `tls` from the first byte, `starttls` before anything else is said, or `none`. Where one is asked for and
            the server has none, no mail goes out; it never falls back to what others can read.
        username: To log in with; None where the server asks for no login.
        password: To log in with.
        timeout: For connecting, for every answer, and for one mail as a whole, in seconds.
        local_hostname: How we greet the server; None for the name of this machine.
        certificates: Which certificates are believed; None for those that the system believes.
    """

    host: str
    port: int
    tls: TlsMode
    username: str | None = None
    password: str | None = None
    timeout: float = 30.0
    local_hostname: str | None = None
    certificates: ssl.SSLContext | None = None


class SmtpSender:
    """Sends mails through one server, one connection at a time."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    def describe(self) -> str:
        """Say where mails go: no name to log in with, no password."""
        return f"SMTP server {self._server.host}:{self._server.port} (TLS: {self._server.tls})"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["SmtpConnection"]:
        """Connect, greet and log in.

        Raises:
            MailDeferred: The server is away, or does not let us in. A refused login is deferred too: it is the
                operator's to mend, and no mail must be lost for it.
        """
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            username=server.username,
            password=server.password,
            timeout=server.timeout,
            local_hostname=server.local_hostname,
            tls_context=server.certificates,
        )
        try:
            with _whole_connection_deferred():
                await client.connect()
            yield SmtpConnection(client, server.timeout)
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=_QUIT_SECONDS)
        finally:
            client.close()


class SmtpConnection:
    """A connection that is open."""

    def __init__(self, client: aiosmtplib.SMTP, timeout: float) -> None:
        self._client = client
        self._timeout = timeout

    async def deliver(self, mail: ReadyMail) -> None:
        """Hand a mail to the server; once it has said 250, the mail is its own.

        Raises:
            MailDeferred: A 4xx answer, none at all, or one that says that we may not send at all.
            MailRefused: A 5xx answer to the recipient or to the mail, or the server lacks SMTPUTF8, which the mail
                needs.
        """
        options = ["SMTPUTF8", "BODY=8BITMIME"] if mail.needs_smtputf8 else []
        with _whole_connection_deferred(), _judged():
            # For the whole of it as well: a server that answers a byte at a time is never late by itself.
            async with asyncio.timeout(self._timeout):
                await self._client.sendmail(mail.sender, [mail.recipient], mail.content, mail_options=options)


@contextmanager
def _judged() -> Iterator[None]:
    """Tell what an answer of the server's means for the mail that it was given to."""
    try:
        yield
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _verdict(error.recipients[0]) from error
    except aiosmtplib.SMTPDataError as error:
        raise _verdict(error) from error
    except aiosmtplib.SMTPNotSupported as error:
        raise MailRefused(error.message) from error
    except ValueError as error:
        # The library's own check of addresses. Ours let none through that it would stop.
        raise MailRefused(_without_addresses(str(error))) from error


def _verdict(error: aiosmtplib.SMTPResponseException) -> MailDeferred | MailRefused:
    reason = _reason(error)
    if 500 <= error.code < 600:
        return MailRefused(reason)
    return MailDeferred(reason, whole_connection=error.code == _CLOSING)


@contextmanager
def _whole_connection_deferred() -> Iterator[None]:
    try:
        yield
    except aiosmtplib.SMTPResponseException as error:
        # A greeting, a login or a sender that is refused: so would be the next mail's.
        raise MailDeferred(_reason(error), whole_connection=True) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        # TimeoutError and the errors of TLS are OSErrors.
        reason = _without_addresses(str(error)) or type(error).__name__
        raise MailDeferred(reason, whole_connection=True) from error


def _reason(error: aiosmtplib.SMTPResponseException) -> str:
    return _without_addresses(f"{error.code} {error.message}")


def _without_addresses(text: str) -> str:
    # Servers quote the recipient; reasons are kept and logged, and addresses must not be.
    return _ADDRESS.sub("[address]", text)[:500]
