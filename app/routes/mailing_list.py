"""On the mailing list and off it, without an account."""

from functools import partial

from fastapi import APIRouter, Request, Response

from app.account_problems import account_problem_responses, as_problems
from app.account_schemas import (
    Confirmation,
    MailPromised,
    Subscribed,
    SubscriptionRequest,
    Unsubscribed,
    UnsubscribeLink,
)
from app.pages import NO_STORE, OR_A_PAGE, PageRoute, page, wants_page
from app.routes.accounts import LinkSecret
from app.self_service import CONFIRM_SUBSCRIPTION, UNSUBSCRIBE, SelfServiceDep

router = APIRouter(tags=["mailing list"], route_class=PageRoute)


@router.post(
    "/mailing-list/subscriptions",
    operation_id="subscribe",
    summary="Ask for the news",
    status_code=202,
    responses=account_problem_responses(413, 422, 429, 503),
)
async def subscribe(
    request: Request, body: SubscriptionRequest, self_service: SelfServiceDep
) -> MailPromised:
    """Send a link to the address. Nothing else is sent there until somebody has followed it.

    The answer is the same for every address.
    """
    return await self_service.promise_mail(
        request, body.email, partial(self_service.mailing_list.ask, source=body.source)
    )


@router.get(
    f"{CONFIRM_SUBSCRIPTION}/{{link}}",
    operation_id="get_subscription_confirmation",
    summary="Look at a mailed link",
    response_model=Confirmation,
    responses=account_problem_responses(404, 410, 422, 503) | {200: OR_A_PAGE},
)
async def get_subscription_confirmation(
    request: Request, response: Response, link: LinkSecret, self_service: SelfServiceDep
) -> Confirmation | Response:
    """Say what the link is for. It is not used up by this, since mail programs look at links, too.

    Browsers get a page with a button.
    """
    with as_problems():
        found = await self_service.mailing_list.look(link)
    if wants_page(request):
        what = f"Sport Vision's news will be sent to {found.email}."
        return page("Confirm your subscription", [what], button="Subscribe")
    response.headers.update(NO_STORE)
    return Confirmation(
        email=found.email, expires_at=found.expires_at, how="Send a POST to this URL to subscribe."
    )


@router.post(
    f"{CONFIRM_SUBSCRIPTION}/{{link}}",
    operation_id="confirm_subscription",
    summary="Follow a mailed link",
    response_model=Subscribed,
    responses=account_problem_responses(404, 410, 422, 503) | {200: OR_A_PAGE},
)
async def confirm_subscription(
    request: Request, link: LinkSecret, self_service: SelfServiceDep
) -> Subscribed | Response:
    """Put the address on the mailing list. The moment and the source of the consent are kept."""
    with as_problems():
        await self_service.mailing_list.confirm(link)
    if wants_page(request):
        return page("Subscribed", ["You are on the list. Every message has a link that takes you off it."])
    return Subscribed()


@router.get(
    f"{UNSUBSCRIBE}/{{link}}",
    operation_id="get_unsubscribe_link",
    summary="Look at an unsubscribe link",
    response_model=UnsubscribeLink,
    responses=account_problem_responses(404, 422) | {200: OR_A_PAGE},
)
async def get_unsubscribe_link(
    request: Request, link: LinkSecret, self_service: SelfServiceDep
) -> UnsubscribeLink | Response:
    """Say what the link does; browsers get a page with a button."""
    with as_problems():
        self_service.mailing_list.check_unsubscribe(link)
    if wants_page(request):
        return page(
            "Unsubscribe", ["No more of Sport Vision's news will be sent to you."], button="Unsubscribe"
        )
    return UnsubscribeLink(how="Send a POST to this URL to leave the list.")


@router.post(
    f"{UNSUBSCRIBE}/{{link}}",
    operation_id="unsubscribe",
    summary="Leave the mailing list",
    response_model=Unsubscribed,
    responses=account_problem_responses(404, 422, 503) | {200: OR_A_PAGE},
)
async def unsubscribe(
    request: Request, link: LinkSecret, self_service: SelfServiceDep
) -> Unsubscribed | Response:
    """Take the address off the list for good: one step, no login (RFC 8058). The link never expires.

    Whatever the body is, `List-Unsubscribe=One-Click` or none, it plays no part: the URL says it all.
    """
    with as_problems():
        await self_service.mailing_list.unsubscribe(link)
    if wants_page(request):
        return page(
            "Unsubscribed", ["You are off the list, and no more of its messages will be sent to you."]
        )
    return Unsubscribed()
