"""TLS and mutual TLS towards the model server, from PEM files that may be renewed while the client runs."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

__all__ = ["TlsError", "TlsFiles"]


class TlsError(ValueError):
    """A file for TLS is missing, is not what it should be, or does not fit another; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where the certificates are, in PEM.

    Attributes:
        ca: The authorities that may have signed the server's certificate; None for those that gRPC brings along,
            which are the public ones.
        certificate: The client's own certificate, and what leads from it to its authority; for mutual TLS.
        key: The certificate's private key, without a password.
        server_name: The name that the server's certificate must bear, where it is not the target's.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def check(self) -> None:
        """Make sure that the files can be used.

        Raises:
            TlsError: They cannot.
        """
        self._contents()

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files as they are now.

        Raises:
            TlsError: They cannot be used.
        """
        ca, certificate, key = self._contents()
        return grpc.ssl_channel_credentials(ca, key, certificate)

    def stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Tell one state of the files from another: inode, size in bytes and time of change of each; None if absent.

        Kubernetes renews a secret's files by turning a symbolic link, which shows in the inode.
        """
        return tuple(_stamp(path) for path in (self.ca, self.certificate, self.key) if path is not None)

    def _contents(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """The bytes of CA, certificate and key, which were found to fit together."""
        if (self.certificate is None) != (self.key is None):
            there, lacking = ("certificate", "key") if self.key is None else ("key", "certificate")
            raise TlsError(f"There is a client {there} but no client {lacking}: mutual TLS needs both.")
        ca, certificate, key = (
            None if path is None else _read(path, what)
            for path, what in (
                (self.ca, "the CA file"),
                (self.certificate, "the client certificate"),
                (self.key, "the client key"),
            )
        )
        # gRPC itself says nothing of files that it cannot use before calls fail, and then not which.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca is not None:
            try:
                context.load_verify_locations(cafile=self.ca)
            except ssl.SSLError as error:
                raise TlsError(
                    f"The CA file {self.ca} holds no certificate in PEM ({_reason(error)})."
                ) from error
        if self.certificate is not None and self.key is not None:
            _check_pair(context, self.certificate, self.key)
        return ca, certificate, key


def _check_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(
                f"The client key {key} does not belong to the client certificate {certificate}."
            ) from error
        raise TlsError(
            f"The client certificate {certificate} or its key {key} is not in PEM ({_reason(error)})."
        ) from error
    except _LockedKeyError as error:
        raise TlsError(f"The client key {key} has a password; give one without.") from error


class _LockedKeyError(Exception):
    """The key cannot be read without a password."""


def _no_password() -> str:
    raise _LockedKeyError


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{what[0].upper()}{what[1:]} {path} cannot be read: {error.strerror}.") from error


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "unreadable").replace("_", " ").lower()
