import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.tokens.format import PATTERN, checksum, is_well_formed, looks_like_ours, new_token


def test_a_token_is_what_scanners_look_for() -> None:
    token = new_token()
    assert re.fullmatch(r"sv_[0-9A-Za-z]{36}", token)
    assert is_well_formed(token)
    assert looks_like_ours(token)
    assert PATTERN.findall(f'key = "{token}"; other={token}') == [token, token]
    assert PATTERN.findall(f"x{token} {token}x sv_short") == []


def test_no_two_are_alike() -> None:
    assert len({new_token() for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("body", "expected"),
    # CRC-32 of no bytes is 0, and of "123456789" 0xCBF43926, the check value of the algorithm.
    [("", 0), ("123456789", 0xCBF43926)],
)
def test_the_checksum_is_crc_32_in_base_62(body: str, expected: int) -> None:
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    value = 0
    for digit in checksum(body):
        value = value * 62 + alphabet.index(digit)
    assert value == expected
    assert len(checksum(body)) == 6


@given(place=st.integers(0, 38), character=st.characters(codec="ascii"))
def test_one_wrong_character_is_seen(place: int, character: str) -> None:
    token = new_token()
    changed = token[:place] + character + token[place + 1 :]
    assert is_well_formed(changed) == (changed == token)


@given(text=st.text())
def test_any_other_text_is_refused_without_an_error(text: str) -> None:
    assert not is_well_formed(text)
    assert not is_well_formed("sv_" + text)


def test_two_letters_that_changed_places_are_seen() -> None:
    token = new_token()
    swapped = token[:5] + token[6] + token[5] + token[7:]
    assert is_well_formed(swapped) == (swapped == token)
