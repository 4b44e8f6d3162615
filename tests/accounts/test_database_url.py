"""The database's URL: which there are, and how the server's certificate is looked at."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from accounts.database import Database, DatabaseAway
from accounts.database_url import DatabaseUrlError, read_url
from tests.support.processes import ROOT


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "cannot be read"),
        ("a file", "cannot be read"),
        ("mysql://user:secret-word@host/db", 'kind "mysql"'),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("postgresql://u:secret-word@h/d?sslrootcert=system&sslmode=require", "sslmode=verify-full"),
        ("postgresql://u:secret-word@h/d?sslrootcert=system&sslmode=verify-ca", "sslmode=verify-full"),
        ("postgresql://u:secret-word@h/d?sslrootcert=system&sslcert=/a.crt", "without sslcert"),
        ("postgresql://u:secret-word@h/d?sslrootcert=system&sslcrl=/a.crl", "without sslcrl"),
    ],
)
def test_urls_that_are_refused(url: str, message: str) -> None:
    with pytest.raises(DatabaseUrlError, match=message) as raised:
        read_url(url)
    assert "secret-word" not in str(raised.value)


def test_urls_of_both_kinds(tmp_path: Path) -> None:
    assert read_url("postgres://u:p@h/d")[1].drivername == "postgresql+asyncpg"
    assert read_url("postgresql://u:p@h/d")[0] == "postgresql"
    assert Database(f"sqlite:///{tmp_path}/x").file == tmp_path / "x"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def over_tls(authority: trustme.CA, name: str) -> AsyncIterator[str]:
    """Give the address of a PostgreSQL that has a certificate in this name, and sends everybody away behind it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A request to begin TLS, and then the start; each begins with its length.
            await read_message(reader)
            writer.write(b"S")
            await writer.start_tls(context)
            await read_message(reader)
            fields = b"SFATAL\0VFATAL\0C28000\0Mnot today\0\0"
            writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        except (OSError, asyncio.IncompleteReadError):
            # Who does not trust the certificate hangs up.
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def read_message(reader: asyncio.StreamReader) -> None:
    length = int.from_bytes(await reader.readexactly(4), "big")
    await reader.readexactly(length - 4)


@pytest.mark.parametrize(
    ("trusted", "name", "message"),
    [
        (True, "127.0.0.1", "not today"),
        (True, "other.test", "CERTIFICATE_VERIFY_FAILED"),
        (False, "127.0.0.1", "CERTIFICATE_VERIFY_FAILED"),
    ],
)
@pytest.mark.parametrize("query", ["sslmode=verify-full&sslrootcert=system", "sslrootcert=system"])
async def test_the_systems_authorities_are_asked_about_the_server(
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trusted: bool,
    name: str,
    message: str,
    query: str,
) -> None:
    # As OpenSSL has it, these name what the system trusts.
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(tmp_path / "system.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    # Nor has the image's user any of these in a home.
    monkeypatch.setenv("HOME", str(tmp_path))
    async with over_tls(authority, name) as address:
        database = Database(f"postgresql://u:p@{address}/d?{query}", timeout=20)
        with pytest.raises(DatabaseAway, match=message):
            async with database.read():
                pass
        await database.close()


async def test_an_authority_may_have_a_file_of_its_own(authority: trustme.CA, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with over_tls(authority, "127.0.0.1") as address:
        url = f"postgresql://u:p@{address}/d?sslmode=verify-full&sslrootcert={tmp_path / 'ca.pem'}"
        database = Database(url, timeout=20)
        with pytest.raises(DatabaseAway, match="not today"):
            async with database.read():
                pass
        await database.close()


@pytest.mark.parametrize("place", ["docs/accounts.md", "k8s/components/accounts/kustomization.yaml"])
def test_a_url_that_is_told_says_whom_to_trust(place: str) -> None:
    # Without sslrootcert it is ~/.postgresql/root.crt, and the image's user has no home.
    told = re.findall(r"\?sslmode=verify-full[^`'\s]*", (ROOT / place).read_text("utf-8"))
    assert told
    assert {one for one in told if "&sslrootcert=" not in one} == set()
