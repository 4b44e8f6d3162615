"""What all tables share: their base with its names, and types that mean the same on SQLite and on PostgreSQL."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, MetaData, String
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator


class Base(DeclarativeBase):
    """Base of all tables. Constraints have names by rule, so that a later migration can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, aware and in UTC on the way in and out.

    SQLite keeps no time zone, so what comes out of it is given UTC again.

    Raises:
        ValueError: A naive datetime was to be stored, which could mean any moment.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Bring to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime to be stored must know its time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Make aware."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Words(TypeDecorator[tuple[str, ...]]):
    """A set of short words, kept as one string with spaces between them, as OAuth writes scopes (RFC 6749, 3.3)."""

    impl = String(200)
    cache_ok = True

    def process_bind_param(self, value: Iterable[str] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Join, sorted and each once."""
        return None if value is None else " ".join(sorted(set(value)))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> tuple[str, ...] | None:  # noqa: ARG002
        """Split."""
        return None if value is None else tuple(str(value).split())


#: A number that counts up by itself. SQLite does that for the type INTEGER only.
Serial = BigInteger().with_variant(Integer(), "sqlite")


def now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)
