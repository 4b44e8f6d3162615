"""Making, listing, rotating and revoking tokens, in a transaction of the caller's."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import and_, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.audit import Actor, record
from accounts.tables import Account, Token
from accounts.tables.base import now
from accounts.tokens.format import new_token
from accounts.tokens.keys import TokenKeys
from accounts.tokens.scopes import DEFAULT_SCOPES, Scope, read_scopes

#: So that nobody can fill the database.
MAX_TOKENS: Final = 50
MAX_A_DAY: Final = 100
MAX_NAME: Final = 100
#: How long a rotated token goes on working, so that its users can change over.
DEFAULT_GRACE: Final = timedelta(hours=1)
MAX_GRACE: Final = timedelta(days=30)
#: What the token behind a mailed link may be used for: to make the tokens that are meant for use, and to look around.
SESSION_SCOPES: Final = (Scope.ACCOUNT, Scope.USAGE)
SESSION_NAME: Final = "Signed in by mail"
#: Those tokens. No holder of an account can make another one like them.
IS_SESSION: Final = and_(Token.name == SESSION_NAME, Token.scopes == SESSION_SCOPES)


class TokenProblem(ValueError):
    """A token cannot be made or changed as it was asked for; the message says what to change."""


class UnknownToken(LookupError):
    """The account has no token of that id."""


class UnknownAccount(LookupError):
    """There is no account of that id."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made.

    Attributes:
        secret: The token itself. It is kept nowhere, and cannot be shown again.
        row: All that is kept of it.
    """

    secret: str = field(repr=False)
    row: Token


class Revocation(NamedTuple):
    """What came of revoking a token.

    Attributes:
        token: What is kept of it.
        changed: False where it was revoked before, so that there is nothing to make known.
    """

    token: Token
    changed: bool


async def lock_account(session: AsyncSession, account_id: uuid.UUID) -> Account | None:
    """Have an account, and its tokens, to oneself until the session ends; None where there is none.

    Whoever makes, replaces or ends tokens of an account comes by here before the first of them: so two who do, or one
    and a deletion of the account, wait for each other and never in a circle. What only refers to the account, such
    as usage that is written, does not wait. On SQLite there is one writer anyway.

    Args:
        session: A writing session.
        account_id: Which one.
    """
    return await session.get(Account, account_id, with_for_update={"key_share": True})


async def make_token(
    session: AsyncSession,
    keys: TokenKeys,
    account_id: uuid.UUID,
    actor: Actor,
    *,
    name: str,
    scopes: Iterable[str] = DEFAULT_SCOPES,
    expires_at: datetime | None = None,
    plan: str | None = None,
) -> NewToken:
    """Make a token for an account.

    Args:
        session: A writing session; the token is there once it has ended.
        keys: How tokens are digested.
        account_id: Whose it will be.
        actor: Who makes it.
        name: What its owner calls it, 1 to 100 characters.
        scopes: What it may be used for.
        expires_at: From when on it is refused; None for never.
        plan: Name of a plan of its own; None for the account's.

    Raises:
        UnknownAccount: There is no such account.
        TokenProblem: The name, the scopes or the expiry cannot be, or the account has too many tokens.
    """
    moment = now()
    # Locked, so that two that are made at once are counted one after the other.
    if await lock_account(session, account_id) is None:
        raise UnknownAccount("There is no account of that id.")
    await _check_number(session, account_id, moment)
    return _add(session, keys, account_id, actor, _name(name), _scopes(scopes), expires_at, plan, moment)


def make_session_token(
    session: AsyncSession, keys: TokenKeys, account_id: uuid.UUID, actor: Actor, *, expires_at: datetime
) -> NewToken:
    """Make the token behind a mailed link, however many tokens the account has.

    Else whoever got hold of an earlier one could use up what an account may have, and its owner could not sign in to
    end that. The number of mails bounds the number of these.

    Args:
        session: A writing session that holds the account (`lock_account`) and has ended the sessions before.
        keys: How tokens are digested.
        account_id: Whose it will be.
        actor: Who makes it.
        expires_at: From when on it is refused.

    Raises:
        TokenProblem: The expiry is in the past.
    """
    scopes = frozenset(SESSION_SCOPES)
    return _add(session, keys, account_id, actor, SESSION_NAME, scopes, expires_at, None, now())


async def list_tokens(session: AsyncSession, account_id: uuid.UUID) -> Sequence[Token]:
    """All tokens of an account, also the revoked and the expired, oldest first."""
    query = select(Token).where(Token.account_id == account_id).order_by(Token.created_at, Token.id)
    return (await session.scalars(query)).all()


async def rotate_token(
    session: AsyncSession,
    keys: TokenKeys,
    token_id: uuid.UUID,
    actor: Actor,
    *,
    account_id: uuid.UUID | None = None,
    grace: timedelta = DEFAULT_GRACE,
) -> NewToken:
    """Put a new token in the place of one: same name, scopes, plan, and as long a life.

    The old one goes on for the grace, or is revoked at once where that is zero. Once the session has ended, the
    change must be made known (`accounts.tokens.news`).

    Args:
        session: A writing session.
        keys: How tokens are digested.
        token_id: The old one.
        actor: Who does it.
        account_id: Whose token it must be; None lets an operator rotate any.
        grace: How long the old one goes on, 30 days at most.

    Raises:
        UnknownToken: There is no such token, or it is another account's.
        TokenProblem: It is revoked or expired, or the grace is negative or too long.
    """
    if not timedelta() <= grace <= MAX_GRACE:
        raise TokenProblem(f"The grace must be between 0 and {MAX_GRACE.days} days.")
    moment = now()
    owner = await session.scalar(select(Token.account_id).where(Token.id == token_id))
    if owner is not None and account_id in {None, owner}:
        await lock_account(session, owner)
    old = await _find(session, token_id, account_id)
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= moment):
        raise TokenProblem("The token is revoked or expired already. Make a new one instead.")
    await _check_number(session, old.account_id, moment, more=1 if grace else 0)
    lifetime = None if old.expires_at is None else old.expires_at - old.created_at
    new = _add(
        session,
        keys,
        old.account_id,
        actor,
        old.name,
        read_scopes(old.scopes),
        None if lifetime is None else moment + lifetime,
        old.plan,
        moment,
        replaces=str(old.id),
    )
    minutes = round(grace / timedelta(minutes=1), 1)
    record(session, actor, "token.rotate", account_id=old.account_id, token_id=old.id, grace_minutes=minutes)
    if grace:
        ends = moment + grace
        old.expires_at = ends if old.expires_at is None else min(old.expires_at, ends)
    else:
        old.revoked_at = moment
    return new


async def revoke_token(
    session: AsyncSession, token_id: uuid.UUID, actor: Actor, *, account_id: uuid.UUID | None = None
) -> Revocation:
    """Take a token back for good; once more does nothing.

    Once the session has ended, a change must be made known (`accounts.tokens.news`). Whoever revokes several tokens
    in one session locks the account first (`lock_account`).

    Args:
        session: A writing session.
        token_id: Which one.
        actor: Who does it.
        account_id: Whose token it must be; None lets an operator revoke any.

    Raises:
        UnknownToken: There is no such token, or it is another account's.
    """
    token = await _find(session, token_id, account_id)
    changed = token.revoked_at is None
    if changed:
        token.revoked_at = now()
        record(session, actor, "token.revoke", account_id=token.account_id, token_id=token.id)
    return Revocation(token, changed)


async def _find(session: AsyncSession, token_id: uuid.UUID, account_id: uuid.UUID | None) -> Token:
    token = await session.get(Token, token_id, with_for_update={"key_share": True})
    if token is None or account_id not in {None, token.account_id}:
        raise UnknownToken("There is no token of that id in the account.")
    return token


async def _check_number(
    session: AsyncSession, account_id: uuid.UUID, moment: datetime, *, more: int = 1
) -> None:
    mine = select(func.count()).where(Token.account_id == account_id, not_(IS_SESSION))
    unexpired = or_(Token.expires_at.is_(None), Token.expires_at > moment)
    usable = await session.scalar(mine.where(Token.revoked_at.is_(None), unexpired)) or 0
    if usable + more > MAX_TOKENS:
        raise TokenProblem(
            f"The account has {usable} tokens, and {MAX_TOKENS} is the most. Revoke one that is no longer needed."
        )
    # Revoked ones stay on record, with what they were used for.
    if (await session.scalar(mine.where(Token.created_at > moment - timedelta(days=1))) or 0) >= MAX_A_DAY:
        raise TokenProblem(f"The account has made {MAX_A_DAY} tokens within a day. Come back tomorrow.")


def _add(
    session: AsyncSession,
    keys: TokenKeys,
    account_id: uuid.UUID,
    actor: Actor,
    name: str,
    scopes: frozenset[Scope],
    expires_at: datetime | None,
    plan: str | None,
    moment: datetime,
    **details: object,
) -> NewToken:
    if expires_at is not None and expires_at <= moment:
        raise TokenProblem("The token would have expired already. Give it an expiry in the future, or none.")
    secret = new_token()
    row = Token(
        id=uuid.uuid4(),
        account_id=account_id,
        name=name,
        digest=keys.digest(secret),
        hint=secret[-4:],
        scopes=tuple(sorted(scopes)),
        plan=plan,
        created_at=moment,
        expires_at=expires_at,
    )
    session.add(row)
    words = sorted(str(scope) for scope in scopes)
    record(session, actor, "token.make", account_id=account_id, token_id=row.id, scopes=words, **details)
    return NewToken(secret, row)


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise TokenProblem(f"A token needs a name of 1 to {MAX_NAME} printable characters.")
    return name


def _scopes(words: Iterable[str]) -> frozenset[Scope]:
    try:
        return read_scopes(words)
    except ValueError as error:
        raise TokenProblem(str(error)) from error
