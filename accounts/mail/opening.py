"""From settings to senders, and to the worker that sends as long as the gateway runs."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from accounts.addresses import EmailAddress
from accounts.database import Database
from accounts.links import LinkKeys
from accounts.mail.clerk import MailClerk, MailUrls
from accounts.mail.composing import Sender
from accounts.mail.folder_sender import FolderSender
from accounts.mail.outbox import Outbox, OutboxRules
from accounts.mail.senders import MailSender
from accounts.mail.settings import MailSettings
from accounts.mail.smtp_sender import SmtpSender, SmtpServer
from accounts.mail.worker import MailObserver, MailWorker, Pace

_RESTART_SECONDS: Final = 5.0
_CANCEL_SECONDS: Final = 0.5

_log = logging.getLogger(__name__)


def make_sender(settings: MailSettings) -> MailSender:
    """Make the way that the settings name.

    Raises:
        OSError: The file of certificates cannot be read, or holds none.
    """
    if settings.smtp_host is None:
        return FolderSender(settings.mail_folder)
    password = settings.smtp_password
    certificates = settings.smtp_ca_file
    return SmtpSender(
        SmtpServer(
            settings.smtp_host,
            settings.smtp_port_or_default,
            settings.smtp_tls,
            username=settings.smtp_username,
            password=None if password is None else password.get_secret_value(),
            timeout=settings.smtp_timeout_seconds,
            local_hostname=settings.smtp_hello,
            certificates=None
            if certificates is None
            else ssl.create_default_context(cafile=str(certificates)),
        )
    )


def outbox_rules(settings: MailSettings) -> OutboxRules:
    """Say how patient the queue is."""
    # Three times what one mail may take, so that there is room for more than one in a claim.
    return OutboxRules(
        lease=timedelta(seconds=3 * settings.smtp_timeout_seconds),
        give_up_after=timedelta(hours=settings.mail_give_up_hours),
    )


def make_worker(
    settings: MailSettings,
    database: Database,
    keys: LinkKeys,
    urls: MailUrls,
    observer: MailObserver | None = None,
) -> MailWorker:
    """Make a worker.

    Raises:
        OSError: See `make_sender`.
    """
    sender = Sender(EmailAddress.parse(settings.mail_from), settings.mail_from_name)
    return MailWorker(
        Outbox(database, outbox_rules(settings)),
        MailClerk(database, keys, sender, urls),
        make_sender(settings),
        Pace(
            look_every=timedelta(seconds=settings.mail_poll_seconds),
            attempt=timedelta(seconds=settings.smtp_timeout_seconds),
        ),
        observer,
    )


@asynccontextmanager
async def at_work(worker: MailWorker) -> AsyncIterator[MailWorker]:
    """Let a worker run while the block does."""
    working = asyncio.create_task(_keep_at_it(worker), name="send mails, whatever happens")
    try:
        yield worker
    finally:
        working.cancel()
        await asyncio.wait({working})


async def _keep_at_it(worker: MailWorker) -> None:
    # A fault of ours in one mail must not keep all others in the queue until somebody restarts the gateway.
    while True:
        running = asyncio.create_task(worker.run(), name="send mails")
        try:
            await asyncio.wait({running})
        finally:
            # More than once, if need be: in Python 3.11 asyncio.wait_for, which libraries use, forgets a cancellation
            # that comes in the moment in which its own awaitable is done.
            while not running.done():
                running.cancel()
                await asyncio.wait({running}, timeout=_CANCEL_SECONDS)
        error = None if running.cancelled() else running.exception()
        _log.error("sending mails failed, and begins again in %g s", _RESTART_SECONDS, exc_info=error)
        await asyncio.sleep(_RESTART_SECONDS)
