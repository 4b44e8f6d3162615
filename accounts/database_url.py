"""The database's URL: SQLite in one file, or PostgreSQL."""

from typing import Final, Literal

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

Kind = Literal["sqlite", "postgresql"]

_DRIVERS: Final[dict[str, tuple[Kind, str]]] = {
    "sqlite": ("sqlite", "sqlite+aiosqlite"),
    "sqlite+aiosqlite": ("sqlite", "sqlite+aiosqlite"),
    "postgres": ("postgresql", "postgresql+asyncpg"),
    "postgresql": ("postgresql", "postgresql+asyncpg"),
    "postgresql+asyncpg": ("postgresql", "postgresql+asyncpg"),
}
_FORMS: Final = "sqlite:///path/to/file.sqlite3 or postgresql://user:password@host:5432/database"
# The driver heeds none of these beside the system's authorities.
_NOT_WITH_SYSTEM: Final = (
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)


class DatabaseUrlError(ValueError):
    """The database's URL is not one that is understood; the message says which are, and never quotes a password."""


def read_url(text: str) -> tuple[Kind, URL]:
    """Read a database's URL, and name the driver that is used for it.

    Args:
        text: `sqlite:///relative.file`, `sqlite:////absolute/file` or `postgresql://…`; what libpq understands may
            follow as a query, such as `?sslmode=verify-full&sslrootcert=system` or `?host=/run/postgresql`.

    Raises:
        DatabaseUrlError: It is neither, or a SQLite database without a file, or what is said of TLS does not go
            together.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise DatabaseUrlError(f"the database's URL cannot be read. It is {_FORMS}") from error
    if url.drivername not in _DRIVERS:
        raise DatabaseUrlError(
            f'no database of the kind "{url.drivername}" is supported. The URL is {_FORMS}'
        )
    kind, driver = _DRIVERS[url.drivername]
    if kind == "sqlite" and url.database in {None, "", ":memory:"}:
        raise DatabaseUrlError(
            f"SQLite needs a file, for what is in memory only is gone at the end. The URL is {_FORMS}"
        )
    if kind == "postgresql" and trusts_system(url):
        _check_beside_system(url)
    return kind, url.set(drivername=driver)


def trusts_system(url: URL) -> bool:
    """Whether PostgreSQL's certificate is to be by an authority that this system trusts: `sslrootcert=system`."""
    return url.query.get("sslrootcert") == "system"


def _check_beside_system(url: URL) -> None:
    # As libpq has it: public authorities give anybody a certificate, so without its name it would say nothing.
    if url.query.get("sslmode", "verify-full") != "verify-full":
        raise DatabaseUrlError("sslrootcert=system needs sslmode=verify-full")
    for name in _NOT_WITH_SYSTEM:
        if name in url.query:
            raise DatabaseUrlError(
                f"sslrootcert=system goes without {name}. Give sslrootcert the file of the authorities instead"
            )
