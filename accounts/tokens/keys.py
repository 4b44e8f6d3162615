"""The keyed digests under which tokens are kept."""

import hmac
from typing import Final

_PURPOSE: Final = b"sportvision token digest"


def _derived(secret_key: bytes) -> bytes:
    # A key of its own for each use of the secret key: what is a digest here is none elsewhere.
    return hmac.digest(secret_key, _PURPOSE, "sha256")


class TokenKeys:
    """Digests tokens by HMAC-SHA-256 (RFC 2104) under a key that is derived from the secret key.

    A token has 178 random bits, so a slow hash would gain nothing; the key makes a stolen database useless for
    checking guesses, and whoever can write to it can still not put in a token of their own.
    """

    def __init__(self, secret_key: bytes, previous: bytes | None = None) -> None:
        """Derive the keys.

        Args:
            secret_key: At least 32 bytes.
            previous: The secret key of before, whose tokens go on working.
        """
        self._key = _derived(secret_key)
        self._previous = None if previous is None else _derived(previous)

    def digest(self, token: str) -> bytes:
        """The digest under today's key, 32 bytes."""
        return hmac.digest(self._key, token.encode("ascii"), "sha256")

    def digests(self, token: str) -> tuple[bytes, ...]:
        """Every digest under which the token may be kept, today's first."""
        if self._previous is None:
            return (self.digest(token),)
        return self.digest(token), hmac.digest(self._previous, token.encode("ascii"), "sha256")
