import pytest

from accounts.addresses import EmailAddress, InvalidAddress

MUNICH = "ada@münchen.example.org"


@pytest.mark.parametrize(
    ("text", "written", "key", "envelope"),
    [
        ("Ada.Lovelace@Example.ORG", "Ada.Lovelace@example.org", "ada.lovelace@example.org", None),
        (" ada@example.org\n", "ada@example.org", "ada@example.org", None),
        ("ada+list@example.org", "ada+list@example.org", "ada+list@example.org", None),
        ("ada@münchen.example.org", MUNICH, MUNICH, "ada@xn--mnchen-3ya.example.org"),
        ("ada@xn--mnchen-3ya.example.org", MUNICH, MUNICH, "ada@xn--mnchen-3ya.example.org"),
        ("Jörg@example.org", "Jörg@example.org", "jörg@example.org", None),
        ("Jo\u0308rg@example.org", "Jörg@example.org", "jörg@example.org", None),
        ("用户@例子.广告", "用户@例子.广告", "用户@例子.广告", None),
    ],
)
def test_addresses_are_brought_to_one_form(text: str, written: str, key: str, envelope: str | None) -> None:
    address = EmailAddress.parse(text)
    assert (address.written, address.key) == (written, key)
    assert address.envelope == (envelope or written)


def test_only_case_makes_two_spellings_one() -> None:
    assert EmailAddress.parse("straße@example.org").key != EmailAddress.parse("strasse@example.org").key
    assert EmailAddress.parse("a.b@example.org").key != EmailAddress.parse("ab@example.org").key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "ada@",
        "@example.org",
        "ada@localhost",
        "ada@[127.0.0.1]",
        "ada@example.org, eve@example.org",
        "Ada <ada@example.org>",
        '"ada lovelace"@example.org',
        "ada@example.org\r\nBcc: eve@example.org",
        "ada\x00@example.org",
        "ada@exam ple.org",
        "\u202eada@example.org",
        f"{'a' * 65}@example.org",
        f"ada@{'a.' * 130}org",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress) as refused:
        EmailAddress.parse(text)
    assert "eve" not in str(refused.value)
