"""Getting an account, or back into it: an address, a mail, a link, a token."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.account_problems import account_problem_responses, as_problems
from app.account_schemas import Confirmation, MailPromised, SignedInAnswer, SignUpRequest
from app.pages import NO_STORE, OR_A_PAGE, PageRoute, page, wants_page
from app.self_service import CONFIRM_ACCOUNT, SelfServiceDep

router = APIRouter(tags=["accounts"], route_class=PageRoute)

LinkSecret = Annotated[
    str,
    Path(
        max_length=100,
        description="Out of the link in a mail.",
        examples=["q3Zk8yKqT0mE1sVbJrC5uW7xLhD2aNfG9pYtR4oIcXw"],
    ),
]


@router.post(
    "/accounts",
    operation_id="sign_up",
    summary="Get an account, or back into it",
    status_code=202,
    responses=account_problem_responses(413, 422, 429, 503),
)
async def sign_up(request: Request, body: SignUpRequest, self_service: SelfServiceDep) -> MailPromised:
    """Send a link to the address: to make an account, or to sign in where it has one.

    The answer is the same for every address.
    """
    return await self_service.promise_mail(request, body.email, self_service.sign_up.ask)


@router.get(
    f"{CONFIRM_ACCOUNT}/{{link}}",
    operation_id="get_account_confirmation",
    summary="Look at a mailed link",
    response_model=Confirmation,
    responses=account_problem_responses(404, 410, 422, 503) | {200: OR_A_PAGE},
)
async def get_account_confirmation(
    request: Request, response: Response, link: LinkSecret, self_service: SelfServiceDep
) -> Confirmation | Response:
    """Say what the link is for. It is not used up by this, since mail programs look at links, too.

    Browsers get a page with a button.
    """
    with as_problems():
        found = await self_service.sign_up.look(link)
    if wants_page(request):
        title = "Sign in" if found.account_exists else "Confirm your address"
        return page(title, [f"This is about your Sport Vision account with {found.email}."], button=title)
    response.headers.update(NO_STORE)
    return Confirmation(
        email=found.email, expires_at=found.expires_at, how="Send a POST to this URL to confirm the address."
    )


@router.post(
    f"{CONFIRM_ACCOUNT}/{{link}}",
    operation_id="confirm_account",
    summary="Follow a mailed link",
    response_model=SignedInAnswer,
    responses=account_problem_responses(403, 404, 410, 422, 503) | {200: OR_A_PAGE},
)
async def confirm_account(
    request: Request, response: Response, link: LinkSecret, self_service: SelfServiceDep
) -> SignedInAnswer | Response:
    """Confirm the address: the account is made where there is none, and a token for managing it is shown, once.

    The link works once. Signing in ends an earlier sign-in of the account; its other tokens go on.
    """
    with as_problems():
        signed_in = await self_service.sign_up.confirm(link)
    if wants_page(request):
        return page(
            "Welcome" if signed_in.created else "Signed in",
            [
                f"This token manages your account, until {signed_in.expires_at:%d %B %Y, %H:%M} UTC.",
                "It is shown this once. Make tokens for your programs with it: POST /accounts/me/tokens, see /docs.",
            ],
            secret=signed_in.token,
        )
    response.headers.update(NO_STORE)
    return SignedInAnswer(
        account_id=signed_in.account_id,
        created=signed_in.created,
        token=signed_in.token,
        expires_at=signed_in.expires_at,
    )
