"""What is remembered of tokens, and by which names it is forgotten."""

import uuid

from accounts.tokens.known import KnownToken
from accounts.tokens.remembering import Memory


def known(account_id: uuid.UUID) -> KnownToken:
    token_id = uuid.uuid4()
    return KnownToken(token_id, str(token_id), account_id, "a token", frozenset(), None, None, True)


class Unwalked(dict[bytes, object]):
    """A dictionary that nobody may go through from end to end."""

    def items(self) -> object:  # type: ignore[override]
        raise AssertionError

    values = __iter__ = items  # type: ignore[assignment]


def test_what_is_named_is_forgotten_and_nothing_else() -> None:
    memory, account, other = Memory(10), uuid.uuid4(), uuid.uuid4()
    tokens = {digest: known(account if digest < b"c" else other) for digest in (b"a", b"b", b"c", b"d")}
    for digest, token in tokens.items():
        memory.put(digest, token, 0.0)
    memory.put(b"unknown", None, 0.0)
    memory.forget_of(tokens[b"c"].token_id)
    memory.forget_of(uuid.uuid4())
    assert [digest for digest in tokens if memory.get(digest)] == [b"a", b"b", b"d"]
    memory.forget_of(account)
    assert [digest for digest in tokens if memory.get(digest)] == [b"d"]
    assert memory.get(b"unknown") is not None


def test_nothing_is_left_of_what_was_forgotten_pushed_out_or_replaced() -> None:
    memory, account = Memory(3), uuid.uuid4()
    for number in range(20):
        memory.put(bytes([number % 7]), known(account) if number % 3 else None, 0.0)
    assert len(memory._digests[account]) == len(memory._known) <= 3
    assert len(memory._digests) == len(memory._known) + 1
    for number in range(7):
        memory.forget(bytes([number]))
    assert (len(memory), memory._digests) == (0, {})


def test_to_forget_one_no_other_is_looked_at() -> None:
    memory, account = Memory(10), uuid.uuid4()
    memory.put(b"a", known(account), 0.0)
    memory._known = Unwalked(memory._known.items())  # type: ignore[assignment]
    memory.forget_of(account)
    assert len(memory) == 0
