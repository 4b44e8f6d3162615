"""Documents that callers and proxies may keep, and the answer to those who have them already (RFC 9110, RFC 9111)."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from fastapi import Request, Response

# Fresh for five minutes, so that an import of ids is soon seen everywhere; for another hour a cache may answer with
# what it has while it asks anew (RFC 5861).
CACHE_CONTROL: Final = "public, max-age=300, stale-while-revalidate=3600"

_ENTITY_TAG: Final = re.compile(r'(?:W/)?("[^"]*")')


@dataclass(frozen=True, slots=True)
class CacheableDocument:
    """The bytes of an answer with their tag.

    Attributes:
        body: The bytes.
        etag: A strong entity tag, quotes included. It is made of the bytes, so that every worker and every restart
            gives the same one for the same content, and no other.
    """

    body: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Tag the bytes by their SHA-256, cut to 128 bits."""
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def cacheable_response(request: Request, document: CacheableDocument, media_type: str) -> Response:
    """Answer a GET or HEAD with the document: 304 without it, where `If-None-Match` shows that the caller has it."""
    headers = {"ETag": document.etag, "Cache-Control": CACHE_CONTROL}
    if _caller_has(request, document.etag):
        return Response(status_code=304, headers=headers)
    return Response(document.body, headers=headers, media_type=media_type)


def _caller_has(request: Request, etag: str) -> bool:
    # A list may be spread over several fields of the same name.
    known = ",".join(request.headers.getlist("if-none-match"))
    # The comparison is the weak one: a proxy that compressed the document may have weakened its tag.
    return known.strip() == "*" or etag in _ENTITY_TAG.findall(known)
