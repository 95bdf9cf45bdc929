"""Which network addresses the studio may reach: global ones, and private ones where a declaration says so.

The check is on addresses, never on names: whoever connects uses the addresses that it gave, and does not resolve again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from httpx import URL, InvalidURL

from tools.fetch_errors import FetchFailed, FetchRefused

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

PORTS = {"http": 80, "https": 443}

# Where clouds give out a machine's own credentials. Some of these look private, one looks global.
_METADATA = frozenset(
    map(ip_address, ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
)
# What a declaration may open: loopback, the private networks (RFC 1918, RFC 4193) and shared space (RFC 6598).
_PRIVATE_4 = tuple(map(IPv4Network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
_PRIVATE_6 = tuple(map(IPv6Network, ("::1/128", "fc00::/7")))
_GLOBAL_6 = IPv6Network("2000::/3")
# Reserved since, or left open by older tables of the standard library: IETF protocols, 6to4 relays, documentation.
_RESERVED_4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4")))
_RESERVED_6 = tuple(map(IPv6Network, ("2001::/23", "3fff::/20")))
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Origin:
    """A scheme, a host (lower case, IPv6 without brackets) and a port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Give the origin of an address.

        Raises:
            ValueError: it is not an http or https address with a host.
        """
        try:
            parsed = URL(url)
        except InvalidURL as error:
            raise ValueError("an address cannot be read") from error
        if parsed.scheme not in PORTS or not parsed.raw_host:
            raise ValueError(f"{parsed.scheme}://{parsed.host} is not an http or https address with a host")
        return cls(parsed.scheme, parsed.raw_host.decode("ascii"), parsed.port or PORTS[parsed.scheme])


def resolved(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a name.

    Raises:
        OSError: it is not known. UnicodeError: it cannot be a name.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(where[4][0]) for where in found))


def checked_addresses(
    host: str, port: int, allowed: Collection[Origin] = (), *, resolve: Resolver = resolved
) -> list[Address]:
    """Give the addresses of a host, all of them fit to connect to; it may block as long as the resolver does.

    Args:
        host: a name or an address, IPv6 without brackets.
        allowed: origins whose host and port may lie in a private network. Who knows the scheme passes only the
            origin that it is about to reach, or nothing.

    Raises:
        FetchRefused: one of its addresses may not be reached. A name with a good and a bad address is refused whole.
        FetchFailed: the name is not known.
    """
    try:
        found = [ip_address(address) for address in resolve(host, port)]
    except (OSError, UnicodeError, ValueError) as error:
        raise FetchFailed(f"the host {host!r} is not known") from error
    if not found:
        raise FetchFailed(f"the host {host!r} has no address")
    private = any((origin.host, origin.port) == (host.lower(), port) for origin in allowed)
    for address in found:
        if not (is_global(address) or (private and is_private(address))):
            raise FetchRefused(_why_not(host, address, private=private))
    return found


def is_global(address: Address) -> bool:
    """Say whether an address belongs to the open internet, looking through the forms that hide an IPv4 address."""
    if address in _METADATA:
        return False
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not _within(address, _RESERVED_4)
    if address.scope_id is not None:
        return False
    inner = _inner(address)
    if inner is not None:
        return is_global(inner)
    return address in _GLOBAL_6 and address.is_global and not _within(address, _RESERVED_6)


def is_private(address: Address) -> bool:
    """Say whether a declaration may open an address: loopback or a private network, no cloud's metadata."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return is_private(address.ipv4_mapped)
    if address in _METADATA:
        return False
    if isinstance(address, IPv4Address):
        return _within(address, _PRIVATE_4)
    return address.scope_id is None and _within(address, _PRIVATE_6)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """Give the IPv4 address that a mapped, 6to4 or NAT64 address (RFC 4291, 3056, 6052) leads to."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def _within(address: Address, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)


def _why_not(host: str, address: Address, *, private: bool) -> str:
    where = f"{host!r}" if host == str(address) else f"{host!r} ({address})"
    if private or not is_private(address):
        return f"{where} is not an address that may be reached"
    return f"{where} is a private address; only one that a declaration itself names may be, with private = true"
