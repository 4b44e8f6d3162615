"""What a user may write for the model servers."""

import socket
from typing import Any

import pytest

from proto_client import Targets


@pytest.mark.parametrize(
    ("text", "fixed", "several", "listed"),
    [
        ("127.0.0.1:8500", "127.0.0.1:8500", False, False),
        ("[::1]:8500", "[::1]:8500", False, False),
        ("tf-serving:8500", "tf-serving:8500", False, False),
        ("dns:///model-server:8500", "dns:///model-server:8500", True, False),
        ("xds:///model-server", "xds:///model-server", True, False),
        ("unix:/tmp/socket", "unix:/tmp/socket", False, False),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", "ipv4:10.0.0.1:1,10.0.0.2:1", True, True),
        ("10.0.0.1:1, 10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2", True, True),
        ("[fd00::1]:1,[fd00::2]:2", "ipv6:[fd00::1]:1,[fd00::2]:2", True, True),
        ("10.0.0.1:1,[fd00::2]:2", "ipv6:[::ffff:10.0.0.1]:1,[fd00::2]:2", True, True),
        ("one:1,two:2", None, True, True),
    ],
)
def test_reading(text: str, fixed: str | None, several: bool, listed: bool) -> None:
    targets = Targets(text)
    assert (targets.fixed, targets.several, targets.listed) == (fixed, several, listed)


@pytest.mark.parametrize("text", ["", "host", "host:", "host:0", "host:65536", "a:1,,b:2", "[x]:1", "::1:85"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no address of a model server|no IPv6 address"):
        Targets(text)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Which addresses a name has."""
    known: dict[str, list[str]] = {}

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))
            for ip in known[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def test_names_in_a_list_are_looked_up_all_addresses_of_each(names: dict[str, list[str]]) -> None:
    names.update(one=["10.0.0.9", "10.0.0.10"], two=["10.0.0.1"])
    assert Targets("two:2,one:1,10.0.0.1:2").resolve() == "ipv4:10.0.0.1:2,10.0.0.9:1,10.0.0.10:1"


def test_the_order_of_the_answers_makes_no_difference(names: dict[str, list[str]]) -> None:
    targets = Targets("one:1,two:2")
    names.update(one=["10.0.0.9", "10.0.0.10"], two=["10.0.0.1"])
    before = targets.resolve()
    names["one"].reverse()
    assert targets.resolve() == before


def test_both_families_together(names: dict[str, list[str]]) -> None:
    names.update(one=["10.0.0.9", "fe80::1%eth0"], two=["10.0.0.1"])
    assert Targets("one:1,two:2").resolve() == "ipv6:[::ffff:10.0.0.1]:2,[::ffff:10.0.0.9]:1,[fe80::1]:1"


def test_a_name_that_cannot_be_looked_up_is_left_out_unless_it_is_all_there_is(
    names: dict[str, list[str]],
) -> None:
    targets = Targets("one:1,two:2")
    with pytest.raises(OSError, match="not known"):
        targets.resolve()
    names["two"] = ["10.0.0.1"]
    assert targets.resolve() == "ipv4:10.0.0.1:2"


def test_a_name_that_cannot_be_one_is_left_out_as_well() -> None:
    # No resolver is asked about these: Python cannot encode them, and says so by a UnicodeError.
    with pytest.raises(OSError, match=r"'a\.\.b' cannot be looked up"):
        Targets("c..d:2,a..b:1").resolve()
    assert Targets("a..b:1,10.0.0.1:2").resolve() == "ipv4:10.0.0.1:2"
