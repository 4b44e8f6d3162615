"""What a token looks like: `sv_`, thirty random characters, and a checksum of six.

The form is GitHub's (https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/): a prefix that
scanners of source code can look for, and a CRC-32 in base 62, by which a mistyped or invented token is told from a
real one without a look at any database. The checksum is no secret and proves nothing; it only saves work.
"""

import re
import secrets
import string
import zlib
from typing import Final

PREFIX: Final = "sv_"
RANDOM_LENGTH: Final = 30
CHECKSUM_LENGTH: Final = 6
#: For scanners, and for all who want to find one in a text.
PATTERN: Final = re.compile(r"\bsv_[0-9A-Za-z]{36}\b", re.ASCII)

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_LENGTH: Final = len(PREFIX) + RANDOM_LENGTH + CHECKSUM_LENGTH


def new_token() -> str:
    """Make a token of 39 characters with 178 random bits (30 characters out of 62)."""
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM_LENGTH))
    return body + checksum(body)


def checksum(body: str) -> str:
    """The CRC-32 of ASCII text, as six digits of base 62, the highest first (62⁶ > 2³²)."""
    value = zlib.crc32(body.encode("ascii"))
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def looks_like_ours(text: str) -> bool:
    """Whether somebody means this to be one of our tokens, well-formed or not."""
    return text.startswith(PREFIX)


def has_our_length(text: str) -> bool:
    """Whether this begins as our tokens do, and has their length, in ASCII: a quick first look."""
    return len(text) == _LENGTH and text.startswith(PREFIX) and text.isascii()


def is_well_formed(text: str) -> bool:
    """Whether this can be a token of ours: prefix, length, alphabet and checksum."""
    return has_our_length(text) and checksum(text[:-CHECKSUM_LENGTH]) == text[-CHECKSUM_LENGTH:]
