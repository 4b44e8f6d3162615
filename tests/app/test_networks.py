import pytest
from pydantic import ValidationError

from app.networks import network_of
from tests.support.gateway import gateway_settings


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::/64"),
        ("testclient", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_one_network_for_all_addresses_that_one_can_change_to(host: str | None, network: str) -> None:
    assert network_of(host) == network


@pytest.mark.parametrize("proxy", ["*", "proxy.example.org", "10.0.0.1/8", "10.0.0.0/33"])
def test_proxies_that_are_no_networks(proxy: str) -> None:
    with pytest.raises(ValidationError, match="TRUSTED_PROXIES"):
        gateway_settings("127.0.0.1:1", trusted_proxies=f"10.0.0.1,{proxy}")


def test_proxies_as_a_list() -> None:
    assert gateway_settings("127.0.0.1:1", trusted_proxies="10.0.0.0/8, ::1").trusted_proxies == (
        "10.0.0.0/8",
        "::1",
    )
