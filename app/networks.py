"""Where a request comes from, as far as limits are concerned."""

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from fastapi import Request

# What a provider gives to one customer at least (RFC 6177); within it, one can change addresses at will.
_IPV6_PREFIX: Final = 64
_UNKNOWN: Final = "unknown"


def network_of(host: str | None) -> str:
    """Name the network of an address: an IPv4 address stands for itself, one of IPv6 for its /64.

    Args:
        host: An address as a peer or a trusted proxy gave it; anything else counts as one network, "unknown".
    """
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return _UNKNOWN
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, _IPV6_PREFIX), strict=False))


def network_of_request(request: Request) -> str:
    """Name the network that a request comes from; proxies are seen through where the settings trust them."""
    return network_of(None if request.client is None else request.client.host)
