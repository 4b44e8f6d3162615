"""Accounts by self-service: an address, a link in a mail, and a first token."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.adding import find_or_add
from accounts.addresses import EmailAddress
from accounts.audit import Actor, record
from accounts.database import Database
from accounts.holders import find_by_email
from accounts.links import LinkKeys, LinkUnknown, follow_link, look_at_link
from accounts.mail.clerk import CLOSED, SIGN_IN, SIGN_UP
from accounts.mail.queueing import queue_with_link
from accounts.tables import Account, Token
from accounts.tables.base import now
from accounts.tables.mail import Link
from accounts.tokens.keys import TokenKeys
from accounts.tokens.making import IS_SESSION, lock_account, make_session_token, revoke_token
from accounts.tokens.news import News

CONFIRM: Final = "account.confirm"


class AccountDisabled(Exception):
    """An operator has switched the account off."""


@dataclass(frozen=True, slots=True)
class OpenConfirmation:
    """A link that can be followed.

    Attributes:
        email: The address that it was sent to.
        expires_at: Until when.
        account_exists: Whether it signs in, rather than up.
    """

    email: str
    expires_at: datetime
    account_exists: bool


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What following a link has brought.

    Attributes:
        account_id: The account.
        created: Whether it was made just now.
        token: With the scopes `account` and `usage`. It is kept nowhere and cannot be shown again.
        expires_at: From when on the token is refused.
    """

    account_id: uuid.UUID
    created: bool
    token: str = field(repr=False)
    expires_at: datetime


class SignUp:
    """Signing up and signing in, which look the same to all but the owner of the address."""

    def __init__(
        self,
        database: Database,
        link_keys: LinkKeys,
        token_keys: TokenKeys,
        news: News,
        *,
        is_open: bool,
        link_lifetime: timedelta,
        session_lifetime: timedelta,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Open nothing.

        Args:
            database: Where accounts are kept.
            link_keys: Make the secrets of links.
            token_keys: How tokens are digested.
            news: To make it known that a sign-in has ended the one before.
            is_open: Whether anybody may sign up. Where not, those who have an account can still sign in.
            link_lifetime: How long a link can be followed.
            session_lifetime: How long the token behind it works.
            clock: The time.
        """
        self._database = database
        self._link_keys = link_keys
        self._token_keys = token_keys
        self._news = news
        self._is_open = is_open
        self._link_lifetime = link_lifetime
        self._session_lifetime = session_lifetime
        self._clock = clock

    async def ask(self, address: EmailAddress) -> None:
        """Send a link to an address: to make an account, or to sign in where there is one.

        The same statements run in the same order either way, so time does not tell which it was. To an account the
        mail goes as its owner spelled the address, for another spelling might be another's mailbox.

        Raises:
            accounts.database.DatabaseAway: See there.
        """
        async with self._database.write() as session:
            account = await find_by_email(session, address)
            known = account is not None and account.email is not None
            queue_with_link(
                session,
                self._link_keys,
                kind=SIGN_IN if known else SIGN_UP if self._is_open else CLOSED,
                purpose=CONFIRM,
                recipient=account.email if account is not None and account.email else address.written,
                moment=self._clock(),
                lifetime=self._link_lifetime,
                account_id=None if account is None else account.id,
            )

    async def look(self, secret: str) -> OpenConfirmation:
        """Say what a link is for; it can still be followed afterwards.

        Raises:
            accounts.links.LinkProblem: It cannot be followed.
            accounts.database.DatabaseAway: See there.
        """
        async with self._database.read() as session:
            link = await look_at_link(session, self._link_keys, secret, (CONFIRM,), self._clock())
            address = EmailAddress.parse(link.email or "")
            exists = await find_by_email(session, address) is not None
        return OpenConfirmation(address.written, link.expires_at, exists)

    async def confirm(self, secret: str) -> SignedIn:
        """Use a link up: make the account where there is none, and a token to manage it with.

        A sign-in ends the one before, so that links cannot fill an account with tokens.

        Raises:
            accounts.links.LinkProblem: It cannot be followed.
            AccountDisabled: See there. The link can be followed again once an operator has changed that.
            accounts.database.DatabaseAway: See there.
        """
        moment = self._clock()
        async with self._database.write() as session:
            link = await look_at_link(session, self._link_keys, secret, (CONFIRM,), moment)
            # Before the link is used up and before its tokens are touched: whoever deletes the account begins with
            # it, and takes both along.
            account = await self._lock(session, link)
            await follow_link(session, self._link_keys, secret, (CONFIRM,), moment)
            created = False
            if account is None:
                account, created = await self._add(session, link, moment)
            if account.disabled_at is not None:
                raise AccountDisabled
            self._confirm(session, account, moment)
            actor = Actor.account(account.id)
            ended = await self._end_sessions(session, account.id, actor, moment)
            expires = moment + self._session_lifetime
            made = make_session_token(session, self._token_keys, account.id, actor, expires_at=expires)
        for token in ended:
            await self._news.tell(token)
        return SignedIn(account.id, created, made.secret, expires)

    @staticmethod
    async def _lock(session: AsyncSession, link: Link) -> Account | None:
        """Lock the account that a link is for; None where there is none of its address yet."""
        if link.account_id is None:
            return await session.scalar(_locked(EmailAddress.parse(link.email or "")))
        account = await lock_account(session, link.account_id)
        if account is None:
            raise LinkUnknown
        return account

    @staticmethod
    async def _add(session: AsyncSession, link: Link, moment: datetime) -> tuple[Account, bool]:
        address = EmailAddress.parse(link.email or "")
        new = uuid.uuid4()
        account = await find_or_add(
            session,
            _locked(address),
            lambda: Account(id=new, email=address.written, email_key=address.key, created_at=moment),
        )
        created = account.id == new
        if created:
            record(session, Actor.account(new), "account.make", account_id=new, confirmed=True)
        return account, created

    @staticmethod
    def _confirm(session: AsyncSession, account: Account, moment: datetime) -> None:
        if account.confirmed_at is None:
            account.confirmed_at = moment
            record(session, Actor.account(account.id), "account.confirm", account_id=account.id)

    @staticmethod
    async def _end_sessions(
        session: AsyncSession, account_id: uuid.UUID, actor: Actor, moment: datetime
    ) -> list[uuid.UUID]:
        unexpired = or_(Token.expires_at.is_(None), Token.expires_at > moment)
        ids = await session.scalars(
            select(Token.id)
            .where(Token.account_id == account_id, IS_SESSION, Token.revoked_at.is_(None), unexpired)
            # In the order in which it is written when they were last used.
            .order_by(Token.id)
        )
        ended = list(ids)
        for token in ended:
            await revoke_token(session, token, actor)
        return ended


def _locked(address: EmailAddress) -> Select[Account]:
    """Finds the account of an address, and locks it as `lock_account` does."""
    return select(Account).where(Account.email_key == address.key).with_for_update(key_share=True)
