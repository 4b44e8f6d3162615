"""Accounts and tokens for tests."""

import uuid
from datetime import datetime
from typing import Any

from accounts.audit import Actor
from accounts.database import Database
from accounts.holders import make_account
from accounts.tokens.keys import TokenKeys
from accounts.tokens.making import NewToken, make_token
from accounts.tokens.scopes import DEFAULT_SCOPES, Scope

OPERATOR = Actor.operator("tester")
KEYS = TokenKeys(b"a secret key of more than 32 bytes for tests")


async def new_account(database: Database, **given: Any) -> uuid.UUID:
    async with database.write() as session:
        account = await make_account(session, OPERATOR, **given)
    return account.id


async def new_token(
    database: Database,
    account_id: uuid.UUID | None = None,
    *,
    keys: TokenKeys = KEYS,
    scopes: frozenset[Scope] = DEFAULT_SCOPES,
    expires_at: datetime | None = None,
    plan: str | None = None,
) -> NewToken:
    account_id = account_id or await new_account(database)
    async with database.write() as session:
        return await make_token(
            session,
            keys,
            account_id,
            OPERATOR,
            name="a token",
            scopes=scopes,
            expires_at=expires_at,
            plan=plan,
        )
