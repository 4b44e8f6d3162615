"""What the holder of an account can do with it: tokens, export, deletion."""

import uuid
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Response, Security

from accounts.audit import Actor
from accounts.holders import get_account
from accounts.privacy import erase, export_everything
from accounts.tables.base import now
from accounts.tokens.making import NewToken, list_tokens, make_token, revoke_token, rotate_token
from accounts.tokens.scopes import Scope
from app.account_problems import TokenRefused, account_problem_responses, as_problems
from app.account_schemas import (
    AccountAnswer,
    ExportAnswer,
    NewTokenAnswer,
    RotationRequest,
    TokenAnswer,
    TokenList,
    TokenRequest,
)
from app.auth import Caller, TokenBearer
from app.pages import NO_STORE
from app.self_service import SelfServiceDep
from app.small_body import SmallBodyRoute

_BEARER = TokenBearer(Scope.ACCOUNT)


async def _no_store(response: Response) -> None:
    response.headers.update(NO_STORE)


async def _my_account(caller: Annotated[Caller, Security(_BEARER)]) -> uuid.UUID:
    return caller.require_account()


router = APIRouter(
    prefix="/accounts/me", tags=["accounts"], route_class=SmallBodyRoute, dependencies=[Depends(_no_store)]
)

MyAccount = Annotated[uuid.UUID, Depends(_my_account)]
TokenId = Annotated[
    uuid.UUID, Path(description="A token's id.", examples=["7f9c24e8-3b12-4fef-91e0-5c2a4c3f1d8b"])
]


@router.get(
    "",
    operation_id="get_my_account",
    summary="The account",
    responses=account_problem_responses(401, 403, 503),
    description=_BEARER.needs,
)
async def get_my_account(mine: MyAccount, self_service: SelfServiceDep) -> AccountAnswer:
    """Show the account of the token."""
    with as_problems():
        async with self_service.accounts.database.read() as session:
            account = await get_account(session, mine)
    return AccountAnswer(id=account.id, email=account.email, plan=account.plan, created_at=account.created_at)


@router.delete(
    "",
    operation_id="delete_my_account",
    summary="Delete the account",
    status_code=204,
    responses=account_problem_responses(401, 403, 503),
)
async def delete_my_account(mine: MyAccount, self_service: SelfServiceDep) -> None:
    """Delete the account with its tokens, its usage and its place on the mailing list. There is no way back.

    What stays is a log of what was done, in which the account is a number, and, where the address was on the mailing
    list, a digest of it, so that it is never written to from an old copy of the list.
    """
    with as_problems():
        async with self_service.accounts.database.write() as session:
            await erase(session, self_service.accounts.link_keys, mine, Actor.account(mine), now())
    await self_service.accounts.news.tell(mine)


@router.get(
    "/export",
    operation_id="export_my_account",
    summary="All that is kept of the account",
    responses=account_problem_responses(401, 403, 429, 503),
)
async def export_my_account(
    mine: MyAccount, response: Response, self_service: SelfServiceDep
) -> ExportAnswer:
    """Collect all that is kept of the account and its address; of a long log of what was done, the newest 1,000."""
    accounts = self_service.accounts
    with as_problems():
        await self_service.exports.check(mine)
        export = await export_everything(accounts.database, accounts.link_keys, mine, Actor.account(mine))
    response.headers["Content-Disposition"] = 'attachment; filename="sport-vision-account.json"'
    return ExportAnswer.model_validate(export)


@router.get(
    "/tokens",
    operation_id="list_my_tokens",
    summary="The account's tokens",
    responses=account_problem_responses(401, 403, 503),
)
async def list_my_tokens(mine: MyAccount, self_service: SelfServiceDep) -> TokenList:
    """List all tokens, oldest first; also the revoked and the expired. The tokens themselves are kept nowhere."""
    async with self_service.accounts.database.read() as session:
        tokens = await list_tokens(session, mine)
    return TokenList(data=[TokenAnswer.model_validate(token) for token in tokens])


@router.post(
    "/tokens",
    operation_id="make_my_token",
    summary="Make a token",
    status_code=201,
    responses=account_problem_responses(401, 403, 413, 422, 503),
)
async def make_my_token(mine: MyAccount, body: TokenRequest, self_service: SelfServiceDep) -> NewTokenAnswer:
    """Make a token for a program of yours. It is shown this once."""
    expires = None if body.expires_in_days is None else now() + timedelta(days=body.expires_in_days)
    with as_problems():
        async with self_service.accounts.database.write() as session:
            made = await make_token(
                session,
                self_service.accounts.keys,
                mine,
                Actor.account(mine),
                name=body.name,
                scopes=body.scopes,
                expires_at=expires,
            )
    return _shown(made)


@router.post(
    "/tokens/{token_id}/rotate",
    operation_id="rotate_my_token",
    summary="Replace a token",
    status_code=201,
    responses=account_problem_responses(401, 403, 404, 413, 422, 503),
)
async def rotate_my_token(
    mine: MyAccount,
    token_id: TokenId,
    self_service: SelfServiceDep,
    body: Annotated[RotationRequest, Body(default_factory=RotationRequest)],
) -> NewTokenAnswer:
    """Put a new token in the place of one: same name and scopes, and as long a life. It is shown this once."""
    accounts = self_service.accounts
    with as_problems():
        async with accounts.database.write() as session:
            made = await rotate_token(
                session,
                accounts.keys,
                token_id,
                Actor.account(mine),
                account_id=mine,
                grace=timedelta(seconds=body.grace_seconds),
            )
            if Scope.ACCOUNT in made.row.scopes:
                # Whoever got hold of a sign-in could make it last for ever.
                raise TokenRefused(
                    "A token that manages the account cannot be rotated. POST /accounts with the account's address "
                    "sends a link to a new one."
                )
    await accounts.news.tell(token_id)
    return _shown(made)


@router.delete(
    "/tokens/{token_id}",
    operation_id="revoke_my_token",
    summary="Revoke a token",
    status_code=204,
    responses=account_problem_responses(401, 403, 404, 422, 503),
)
async def revoke_my_token(mine: MyAccount, token_id: TokenId, self_service: SelfServiceDep) -> None:
    """Take a token back for good; that of this request, too. It takes effect everywhere within seconds."""
    accounts = self_service.accounts
    with as_problems():
        async with accounts.database.write() as session:
            _, changed = await revoke_token(session, token_id, Actor.account(mine), account_id=mine)
    if changed:
        await accounts.news.tell(token_id)


def _shown(made: NewToken) -> NewTokenAnswer:
    shown = TokenAnswer.model_validate(made.row)
    return NewTokenAnswer(**shown.model_dump(), token=made.secret)
