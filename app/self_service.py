"""What people do about their own accounts and subscriptions, opened with the gateway."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Request

from accounts.addresses import EmailAddress
from accounts.asking_limits import AskingLimits
from accounts.export_limit import ExportLimit
from accounts.limits import Limiter
from accounts.mail.clerk import MailUrls
from accounts.mail.opening import at_work, make_worker
from accounts.mail.worker import MailWorker
from accounts.mailing_list import MailingList
from accounts.opening import Accounts
from accounts.sign_up import SignUp
from app.account_problems import as_problems, read_address
from app.account_schemas import MailPromised
from app.metrics.recorder import Recorder
from app.networks import network_of_request
from app.settings import Settings

if TYPE_CHECKING:
    from app.services import Services

CONFIRM_ACCOUNT: Final = "/accounts/confirmations"
CONFIRM_SUBSCRIPTION: Final = "/mailing-list/confirmations"
UNSUBSCRIBE: Final = "/mailing-list/unsubscribe"


@dataclass(frozen=True, slots=True)
class SelfService:
    """What the routes of accounts and of the mailing list use.

    Attributes:
        accounts: Accounts and tokens.
        sign_up: Signing up and in.
        mailing_list: The mailing list.
        limits: How often mails can be asked for.
        exports: How often an account can be exported.
        worker: Sends mails.
        link_hours: How long a link in a mail can be followed.
        notice: What is said beside every promise of a mail; empty where mails are sent.
    """

    accounts: Accounts
    sign_up: SignUp
    mailing_list: MailingList
    limits: AskingLimits
    exports: ExportLimit
    worker: MailWorker
    link_hours: float
    notice: str

    async def promise_mail(
        self, request: Request, written: str, ask: Callable[[EmailAddress], Awaitable[None]]
    ) -> MailPromised:
        """Have a mail with a link sent to an address, and say so; the answer is the same for every address.

        Args:
            request: Who asks is told by its network.
            written: The address.
            ask: Puts the mail into the queue.

        Raises:
            app.account_problems.InvalidEmail: It is no address.
            app.account_problems.TooManyMails: Too many were asked for.
            accounts.limits.LimitsUnavailable: See there.
        """
        address = read_address(written)
        with as_problems():
            await self.limits.check(address, network_of_request(request))
        await ask(address)
        self.worker.wake()
        return MailPromised(
            detail=f"A mail is on its way. Follow the link in it within {self.link_hours:g} hours.{self.notice}"
        )


@asynccontextmanager
async def open_self_service(
    settings: Settings, accounts: Accounts, limiter: Limiter, recorder: Recorder
) -> AsyncIterator[SelfService]:
    """Open it; mails are sent until the block ends.

    Raises:
        OSError: The file of the mail server's certificates cannot be read.
    """
    base = settings.public_url or f"http://127.0.0.1:{settings.port}"
    urls = MailUrls(base + CONFIRM_ACCOUNT, base + CONFIRM_SUBSCRIPTION, base + UNSUBSCRIBE)
    keys = accounts.link_keys
    link_lifetime = timedelta(hours=settings.link_hours)
    async with AsyncExitStack() as stack:
        worker = make_worker(settings, accounts.database, keys, urls, recorder)
        await stack.enter_async_context(at_work(worker))
        yield SelfService(
            accounts=accounts,
            sign_up=SignUp(
                accounts.database,
                keys,
                accounts.keys,
                accounts.news,
                is_open=settings.sign_up,
                link_lifetime=link_lifetime,
                session_lifetime=timedelta(hours=settings.session_hours),
            ),
            mailing_list=MailingList(accounts.database, keys, link_lifetime=link_lifetime),
            limits=AskingLimits(
                limiter,
                settings.secret_key_bytes,
                per_address=settings.mails_per_address_per_hour,
                per_network=settings.mails_per_network_per_hour,
            ),
            exports=ExportLimit(limiter),
            worker=worker,
            link_hours=settings.link_hours,
            notice=_notice(settings),
        )


def _notice(settings: Settings) -> str:
    # On a machine of one's own it helps; elsewhere it would only tell strangers how the service is set up.
    if settings.smtp_host is None and settings.environment == "development":
        return " This gateway has no mail server: it writes mails into a folder, which its log names."
    return ""


# Async, since FastAPI sends any other dependency through a thread.
async def _self_service(request: Request) -> SelfService:
    services: Services = request.state.services
    # The routes that need it are there only where accounts are.
    assert services.self_service is not None  # noqa: S101
    return services.self_service


SelfServiceDep = Annotated[SelfService, Depends(_self_service)]
