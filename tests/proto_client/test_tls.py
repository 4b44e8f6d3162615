"""TLS and mutual TLS, with certificates made for each test and a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
import trustme

from proto_client import (
    ChannelSettings,
    ModelServerClient,
    ModelServerUnavailable,
    RetryPolicy,
    TlsError,
    TlsFiles,
)
from tests.proto_client.clock import Clock
from tests.proto_client.conftest import TIMEOUT, picture
from tests.support.fake_backend import FakeBackend

SETTINGS = ChannelSettings(retry=RetryPolicy(attempts=1))


class Files:
    """PEM files in a folder."""

    def __init__(self, folder: Path, authority: trustme.CA) -> None:
        self.ca = folder / "ca.pem"
        self.certificate = folder / "client.pem"
        self.key = folder / "client.key"
        authority.cert_pem.write_to_path(self.ca)
        self.renew(authority)

    def renew(self, authority: trustme.CA) -> None:
        """Write another client certificate, as cert-manager would."""
        leaf = authority.issue_cert("gateway.test")
        self.key.write_bytes(leaf.private_key_pem.bytes())
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Files:
    return Files(tmp_path, authority)


def server_credentials(
    authority: trustme.CA, *names: str, clients: trustme.CA | None = None
) -> grpc.ServerCredentials:
    """A server's certificate for these names; with `clients`, it takes only those that this authority has signed."""
    leaf = authority.issue_cert(*names)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return grpc.ssl_server_credentials(
        [(leaf.private_key_pem.bytes(), chain)],
        root_certificates=None if clients is None else clients.cert_pem.bytes(),
        require_client_auth=clients is not None,
    )


@asynccontextmanager
async def running(credentials: grpc.ServerCredentials) -> AsyncIterator[FakeBackend]:
    async with FakeBackend(credentials=credentials) as backend:
        backend.add_version("sports", 1)
        yield backend


async def ask(target: str, tls: TlsFiles | None) -> int:
    async with ModelServerClient(target, tls=tls, settings=SETTINGS) as client:
        return (await client.predict({"images": picture()}, model="sports", timeout=TIMEOUT)).version


async def test_a_server_whose_authority_is_known_is_trusted(authority: trustme.CA, files: Files) -> None:
    async with running(server_credentials(authority, "127.0.0.1")) as backend:
        assert await ask(backend.target, TlsFiles(ca=files.ca)) == 1


async def test_one_whose_authority_is_not_known_is_not(authority: trustme.CA, files: Files) -> None:
    async with running(server_credentials(trustme.CA(), "127.0.0.1")) as backend:
        with pytest.raises(ModelServerUnavailable):
            await ask(backend.target, TlsFiles(ca=files.ca))
        with pytest.raises(ModelServerUnavailable):
            await ask(backend.target, TlsFiles())


async def test_the_name_in_the_certificate_counts(authority: trustme.CA, files: Files) -> None:
    async with running(server_credentials(authority, "model-server.test")) as backend:
        with pytest.raises(ModelServerUnavailable):
            await ask(backend.target, TlsFiles(ca=files.ca))
        assert await ask(backend.target, TlsFiles(ca=files.ca, server_name="model-server.test")) == 1


async def test_a_list_of_servers_has_one_name_together(authority: trustme.CA, files: Files) -> None:
    credentials = server_credentials(authority, "model-server.test")
    async with running(credentials) as one, running(credentials) as two:
        target = f"{one.target},{two.target}"
        assert await ask(target, TlsFiles(ca=files.ca, server_name="model-server.test")) == 1
        with pytest.raises(ValueError, match="give a server name"):
            ModelServerClient(target, tls=TlsFiles(ca=files.ca))


async def test_plain_text_is_not_tls_and_the_other_way_round(
    authority: trustme.CA, files: Files, backend: FakeBackend
) -> None:
    with pytest.raises(ModelServerUnavailable):
        await ask(backend.target, TlsFiles(ca=files.ca))
    async with running(server_credentials(authority, "127.0.0.1")) as secure:
        with pytest.raises(ModelServerUnavailable):
            await ask(secure.target, None)


async def test_mutual(authority: trustme.CA, files: Files) -> None:
    async with running(server_credentials(authority, "127.0.0.1", clients=authority)) as backend:
        own = TlsFiles(ca=files.ca, certificate=files.certificate, key=files.key)
        assert await ask(backend.target, own) == 1
        with pytest.raises(ModelServerUnavailable):
            await ask(backend.target, TlsFiles(ca=files.ca))


async def test_renewed_certificates_are_taken_up_without_a_restart(
    authority: trustme.CA, files: Files
) -> None:
    """The server's authority for clients changes; the client's files are renewed; calls succeed again."""
    clock = Clock()
    tls = TlsFiles(ca=files.ca, certificate=files.certificate, key=files.key)
    newer = trustme.CA()
    async with (
        running(server_credentials(authority, "127.0.0.1", clients=authority)) as backend,
        ModelServerClient(backend.target, tls=tls, settings=SETTINGS, clock=clock) as client,
    ):

        async def works() -> bool:
            try:
                await client.model_status("sports", timeout=TIMEOUT)
            except ModelServerUnavailable:
                return False
            return True

        assert await works()
        await backend.stop()
        backend.credentials = server_credentials(authority, "127.0.0.1", clients=newer)
        await backend.start()
        # Half-written files are not taken up, and do no harm.
        files.certificate.write_bytes(b"-----BEGIN CERT")
        clock.turn(10)
        assert not await works()
        files.renew(newer)
        async with asyncio.timeout(30):
            while not await works():
                clock.turn(10)


def test_files_that_fit_are_found_fit(files: Files) -> None:
    TlsFiles(ca=files.ca, certificate=files.certificate, key=files.key).check()
    TlsFiles().check()


def test_what_is_wrong_is_told(files: Files, authority: trustme.CA, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    other_key = tmp_path / "other.key"
    other_key.write_bytes(authority.issue_cert("other.test").private_key_pem.bytes())
    locked = tmp_path / "locked.key"
    # The head is enough: it is by this that a password would be asked for.
    locked.write_text(
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
        f"DEK-Info: AES-128-CBC,{'0' * 32}\n\n{'A' * 64}\n-----END RSA PRIVATE KEY-----\n"
    )
    for wrong, words in (
        (TlsFiles(ca=tmp_path / "none.pem"), r"The CA file .*none\.pem cannot be read: No such file"),
        (TlsFiles(ca=empty), r"The CA file .*empty\.pem holds no certificate in PEM"),
        (TlsFiles(certificate=files.certificate), "a client certificate but no client key"),
        (TlsFiles(key=files.key), "a client key but no client certificate"),
        (
            TlsFiles(certificate=files.certificate, key=other_key),
            r"other\.key does not belong to the client certificate",
        ),
        (TlsFiles(certificate=empty, key=files.key), r"empty\.pem or its key .* is not in PEM"),
        (TlsFiles(certificate=files.certificate, key=locked), r"locked\.key has a password"),
    ):
        with pytest.raises(TlsError, match=words):
            wrong.check()


async def test_two_ways_of_tls_are_one_too_many(files: Files) -> None:
    with pytest.raises(ValueError, match="not both"):
        ModelServerClient(
            "127.0.0.1:1", tls=TlsFiles(ca=files.ca), credentials=grpc.ssl_channel_credentials()
        )
