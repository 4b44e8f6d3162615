"""Keeping accounts from being deleted while rows of their tokens are written."""

import uuid
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.tables import Account, Token

#: SQLite and PostgreSQL both take more parameters than that.
_TOKENS_PER_QUERY: Final = 500


async def hold(session: AsyncSession, tokens: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Find those tokens that are there still, and have them stay until the session ends.

    Whoever deletes an account deletes its tokens and its usage too, in an order of their own. One who writes several
    such rows would wait for a row that is being deleted, and the deletion for a row that is written already. So the
    accounts come first: they are locked against deletion, and against nothing else. On SQLite there is one writer
    anyway.

    Args:
        session: A writing session that has written nothing yet.
        tokens: Their ids, in any number.

    Returns:
        The ids of those that are there.
    """
    there: set[uuid.UUID] = set()
    for begin in range(0, len(tokens), _TOKENS_PER_QUERY):
        some = tokens[begin : begin + _TOKENS_PER_QUERY]
        held = (
            select(Token.id)
            .join(Account, Account.id == Token.account_id)
            .where(Token.id.in_(some))
            .with_for_update(read=True, key_share=True, of=Account)
        )
        there.update(await session.scalars(held))
    return there
