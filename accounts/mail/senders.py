"""The ways a mail goes out: what every one of them promises."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from accounts.mail.composing import ReadyMail


class MailDeferred(Exception):
    """It did not go out now, and may later: the server is away, slow, full or busy.

    Attributes:
        whole_connection: Whether the next mail on the same connection would fare no better.
    """

    def __init__(self, reason: str, *, whole_connection: bool) -> None:
        super().__init__(reason)
        self.whole_connection = whole_connection


class MailRefused(Exception):
    """It will not go out however often it is tried: the server says so for good."""


class Connection(Protocol):
    """Takes mails, one after another."""

    async def deliver(self, mail: ReadyMail) -> None:
        """Hand a mail on. Once this returns, it is in the hands of who promised to keep it.

        Raises:
            MailDeferred: To be tried again.
            MailRefused: Not to be tried again.
        """


class MailSender(Protocol):
    """Opens connections."""

    def describe(self) -> str:
        """Say where mails go, for a log: no password in it."""

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Open a connection for some mails.

        Raises:
            MailDeferred: On entering; nothing can go out now.
        """
