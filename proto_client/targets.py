"""Where the model servers are: one address, a DNS name with many, or a list, told to gRPC in its own terms."""

import ipaddress
import re
import socket
from dataclasses import dataclass

__all__ = ["Targets"]

# gRPC's own targets begin with a scheme: dns:///name:port, ipv4:a:p,b:p, unix:path and so on.
_SCHEME = re.compile(r"(?:dns|ipv4|ipv6|unix|unix-abstract|vsock|xds|passthrough):")
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<name>[^:\[\]/\s]+)):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class _Address:
    host: str
    port: int
    literal: ipaddress.IPv4Address | ipaddress.IPv6Address | None


class Targets:
    """Reads what a user writes for the model servers.

    gRPC takes one name, or several addresses of one family (`ipv4:a:p,b:p`). A list in which there are names is
    therefore resolved here.

    Args:
        text: host:port; any target of gRPC's, such as dns:///name:port; or several host:port with commas between.

    Attributes:
        text: The same.
        several: Whether there may be more than one server: a list, or what gRPC looks up (dns:, xds:). A bare
            host:port is one server, though it be a name.
        listed: Whether there is a list, in which no one name stands for all servers.
        fixed: The target for gRPC, where it needs no looking up here; else None, and `resolve` gives it.

    Raises:
        ValueError: It is none of these.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.fixed: str | None = None
        self._addresses: list[_Address] = []
        if _SCHEME.match(text):
            self.fixed = text
            self.several = text.startswith(("dns:", "xds:")) or "," in text
            self.listed = "," in text
            return
        self._addresses = [_read(part.strip()) for part in text.split(",")]
        self.listed = len(self._addresses) > 1
        self.several = self.listed
        if not self.listed:
            self.fixed = text.strip()
        elif all(address.literal is not None for address in self._addresses):
            self.fixed = _join(
                [(address.literal, address.port) for address in self._addresses if address.literal]
            )

    def resolve(self) -> str:
        """Look the names up, all addresses of each, and make one target of them. Blocks; meant for a thread.

        Returns:
            The target for gRPC; the same addresses give the same text.

        Raises:
            OSError: None of the names can be looked up. One that cannot, beside others that can, is left out.
        """
        if self.fixed is not None:
            return self.fixed
        found: set[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]] = set()
        failure: OSError | None = None
        for address in self._addresses:
            if address.literal is not None:
                found.add((address.literal, address.port))
                continue
            try:
                answers = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            except OSError as error:
                failure = error
                continue
            except UnicodeError as error:
                # It has an empty part, say, or one that is too long: no resolver was asked.
                failure = OSError(f"{address.host!r} cannot be looked up: {error}")
                continue
            for *_, name in answers:
                # A link-local address may end in a zone.
                found.add((ipaddress.ip_address(str(name[0]).partition("%")[0]), address.port))
        if not found and failure is not None:
            raise failure
        return _join(sorted(found, key=lambda one: (one[0].version, int(one[0]), one[1])))


def _read(text: str) -> _Address:
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"]) <= 65535:
        raise ValueError(
            f"{text!r} is no address of a model server. Give host:port, [IPv6]:port, dns:///name:port, or several "
            "host:port with commas between."
        )
    host = match["six"] or match["name"]
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        literal = None
    if match["six"] and literal is None:
        raise ValueError(f"{match['six']!r} in {text!r} is no IPv6 address.")
    return _Address(host, int(match["port"]), literal)


def _join(addresses: list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]) -> str:
    """Make one target; where both families are there, IPv4 goes in its IPv6 form, for a target takes one family."""
    if all(address.version == 4 for address, _ in addresses):
        return "ipv4:" + ",".join(f"{address}:{port}" for address, port in addresses)
    mapped = [
        (f"::ffff:{address}" if address.version == 4 else str(address), port) for address, port in addresses
    ]
    return "ipv6:" + ",".join(f"[{address}]:{port}" for address, port in mapped)
