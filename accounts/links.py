"""Links in mails: those that work once and end, and the signed ones of unsubscribing, which never do."""

import base64
import hashlib
import hmac
import re
import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from accounts.tables.mail import Link

# 32 bytes in base64 for URLs, without padding.
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_ID_BYTES: Final = 16
# 128 bits, which is more than anybody can try; so the whole is as long as a secret.
_SIGNATURE_BYTES: Final = 16


class LinkProblem(Exception):
    """The link cannot be followed."""


class LinkUnknown(LinkProblem):
    """There is no such link, or it is for something else."""


class LinkExpired(LinkProblem):
    """It was not followed in time."""


class LinkUsed(LinkProblem):
    """It was followed already."""


class LinkKeys:
    """Makes the secrets of links out of the secret key, each kind with a key of its own (HMAC-SHA-256, RFC 2104).

    A one-time link's secret is made of the id of the mail that it is in, so that a mail that waits in the database
    does not hold it. Whoever steals the database has neither the secrets nor the key to make them.
    """

    def __init__(self, secret_key: bytes, previous: bytes | None = None) -> None:
        """Derive the keys.

        Args:
            secret_key: At least 32 random bytes. With another one, and this one not even the previous, the ways to
                unsubscribe in mails sent before are dead, and nobody knows who must not be written to.
            previous: The key of before, so that nothing is dead at once.
        """
        known = (secret_key,) if previous is None else (secret_key, previous)
        self._making = [_mac(key, b"sportvision link secret") for key in known]
        self._digesting = [_mac(key, b"sportvision link digest") for key in known]
        self._signing = [_mac(key, b"sportvision unsubscribe") for key in known]
        self._suppressing = [_mac(key, b"sportvision suppression") for key in known]

    def secret_of(self, mail: uuid.UUID) -> str:
        """Make the secret of the link in a new mail: 43 characters that need no quoting in a URL."""
        return _text(_mac(self._making[0], mail.bytes))

    def secrets_of(self, mail: uuid.UUID) -> dict[bytes, str]:
        """Make the secret of the link in a mail under every key that it may be made with, each by its digest."""
        return {
            _mac(digesting, secret.encode("utf-8")): secret
            for making, digesting in zip(self._making, self._digesting, strict=True)
            for secret in [_text(_mac(making, mail.bytes))]
        }

    def digest(self, secret: str) -> bytes:
        """Digest a secret: 32 bytes, under which its link is kept."""
        return self.digests(secret)[0]

    def digests(self, secret: str) -> tuple[bytes, ...]:
        """Digest a secret under every key that its link may be kept with, today's first."""
        return tuple(_mac(key, secret.encode("utf-8")) for key in self._digesting)

    def unsubscribe_token(self, subscription: uuid.UUID) -> str:
        """Sign a subscription's id: 43 characters, the same ones for ever."""
        return _text(subscription.bytes + _signature(self._signing[0], subscription.bytes))

    def read_unsubscribe_token(self, token: str) -> uuid.UUID:
        """Find out which subscription was signed.

        Raises:
            LinkUnknown: Not by us.
        """
        if not _SECRET.fullmatch(token):
            raise LinkUnknown
        content = base64.urlsafe_b64decode(token + "=")
        subscription, signature = content[:_ID_BYTES], content[_ID_BYTES:]
        if not any(hmac.compare_digest(signature, _signature(key, subscription)) for key in self._signing):
            raise LinkUnknown
        return uuid.UUID(bytes=subscription)

    def suppression_digest(self, email_key: str) -> bytes:
        """Digest an address: 32 bytes that tell whether it is one already known, and not which."""
        return self.suppression_digests(email_key)[0]

    def suppression_digests(self, email_key: str) -> tuple[bytes, ...]:
        """Digest an address under every key that it may be kept with, today's first."""
        return tuple(_mac(key, email_key.encode("utf-8")) for key in self._suppressing)


async def look_at_link(
    session: AsyncSession, keys: LinkKeys, secret: str, purposes: Collection[str], moment: datetime
) -> Link:
    """Find a link that could be followed now, and leave it as it is.

    Raises:
        LinkProblem: It could not; each kind is a subclass of its own.
    """
    if not _SECRET.fullmatch(secret):
        raise LinkUnknown
    link = await session.scalar(select(Link).where(Link.digest.in_(keys.digests(secret))))
    if link is None or link.purpose not in purposes:
        raise LinkUnknown
    if link.used_at is not None:
        raise LinkUsed
    if link.expires_at <= moment:
        raise LinkExpired
    return link


async def follow_link(
    session: AsyncSession, keys: LinkKeys, secret: str, purposes: Collection[str], moment: datetime
) -> Link:
    """Find a link and use it up, in the caller's transaction: what it is for must happen in the same one.

    Raises:
        LinkProblem: See `look_at_link`. Of two who follow it at once, one has it used up by the other.
    """
    link = await look_at_link(session, keys, secret, purposes, moment)
    claimed = await session.execute(
        update(Link)
        .where(Link.digest == link.digest, Link.used_at.is_(None))
        .values(used_at=moment)
        .returning(Link.digest)
        .execution_options(synchronize_session=False)
    )
    if claimed.first() is None:
        raise LinkUsed
    return link


async def forget_links(session: AsyncSession, before: datetime) -> None:
    """Remove the links that expired before a moment, and the addresses in them."""
    await session.execute(
        delete(Link).where(Link.expires_at < before).execution_options(synchronize_session=False)
    )


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, hashlib.sha256)


def _signature(key: bytes, content: bytes) -> bytes:
    return _mac(key, content)[:_SIGNATURE_BYTES]


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
