"""What is remembered of the database's answers about tokens, within bounds of number and time."""

import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from accounts.tokens.known import KnownToken


@dataclass(slots=True)
class Remembered:
    """One answer of the database.

    Attributes:
        token: What it said; None where it does not know the token.
        seen: When it was asked, on the monotonic clock, in seconds.
    """

    token: KnownToken | None
    seen: float


class Memory:
    """Answers by the token's digest. The known and the unknown have a bound each.

    So whoever sends invented tokens by the million pushes out what others invented, and never a token that is real.
    """

    def __init__(self, size: int) -> None:
        """Remember nothing yet.

        Args:
            size: How many known tokens, and how many unknown, are remembered; beyond it, the one that was used least
                recently is forgotten.
        """
        self._size = size
        self._known: OrderedDict[bytes, Remembered] = OrderedDict()
        self._unknown: OrderedDict[bytes, Remembered] = OrderedDict()
        #: The digests of each known token, and of all known tokens of each account, by their ids.
        self._digests: defaultdict[uuid.UUID, set[bytes]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._known) + len(self._unknown)

    def get(self, digest: bytes) -> Remembered | None:
        """What is remembered of a token, however old."""
        for answers in (self._known, self._unknown):
            found = answers.get(digest)
            if found is not None:
                answers.move_to_end(digest)
                return found
        return None

    def put(self, digest: bytes, token: KnownToken | None, seen: float) -> Remembered:
        """Remember an answer in the place of the one before."""
        self.forget(digest)
        answers = self._unknown if token is None else self._known
        answers[digest] = remembered = Remembered(token, seen)
        for identity in _identities(token):
            self._digests[identity].add(digest)
        if len(answers) > self._size:
            self.forget(next(iter(answers)))
        return remembered

    def forget(self, digest: bytes) -> None:
        """Forget one token."""
        self._unknown.pop(digest, None)
        known = self._known.pop(digest, None)
        for identity in _identities(None if known is None else known.token):
            self._digests[identity].discard(digest)
            if not self._digests[identity]:
                del self._digests[identity]

    def forget_of(self, identity: uuid.UUID) -> None:
        """Forget a token by its id, or all tokens of an account by its."""
        for digest in tuple(self._digests.get(identity, ())):
            self.forget(digest)

    def all_known(self) -> Iterator[Remembered]:
        """What is remembered of known tokens."""
        return iter(self._known.values())


def _identities(token: KnownToken | None) -> tuple[uuid.UUID, ...]:
    """By what a token may be named in news."""
    return () if token is None else (token.token_id, token.account_id)
