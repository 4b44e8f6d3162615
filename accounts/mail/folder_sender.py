"""Mails as files in a folder: for a machine without a mail server, where a person opens them."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from accounts.mail.composing import ReadyMail
from accounts.mail.senders import MailDeferred


class FolderSender:
    """Writes every mail to `<its id>.eml`. None leaves the machine.

    A mail that is written again replaces itself. Files appear whole, since they are renamed into place, and only
    their owner can read them, for the links in them open accounts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> str:
        """Say where mails go."""
        return f"files in {self._folder}; none is sent"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["FolderSender"]:
        """Make the folder.

        Raises:
            MailDeferred: It cannot be made.
        """
        await asyncio.to_thread(self._prepare)
        yield self

    async def deliver(self, mail: ReadyMail) -> None:
        """Write a mail.

        Raises:
            MailDeferred: The disk does not take it.
        """
        await asyncio.to_thread(self._write, mail)

    def _prepare(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise MailDeferred(
                f"the folder for mails cannot be made: {error}", whole_connection=True
            ) from error

    def _write(self, mail: ReadyMail) -> None:
        target = self._folder / f"{mail.key}.eml"
        # The process's number in its name: another replica may write the same mail, where a lease has run out.
        unfinished = self._folder / f".{mail.key}.{os.getpid()}"
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(mail.content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(target)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise MailDeferred(f"the mail cannot be written: {error}", whole_connection=True) from error
