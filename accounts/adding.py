"""Adding a row that another transaction may be adding as well."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.tables.base import Base

RowT = TypeVar("RowT", bound=Base)


async def find_or_add(session: AsyncSession, query: Select[RowT], make: Callable[[], RowT]) -> RowT:
    """Find the row, or add it; where another transaction was faster, find what it has added.

    Args:
        session: A session that writes.
        query: Finds the row by what is unique in it.
        make: Makes the row where there is none.
    """
    found = await session.scalar(query)
    if found is not None:
        return found
    try:
        # A savepoint, since PostgreSQL lets nothing more be done in a transaction in which something failed.
        async with session.begin_nested():
            made = make()
            session.add(made)
    except IntegrityError:
        return (await session.scalars(query)).one()
    return made
