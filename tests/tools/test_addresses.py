"""Which addresses may be reached."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tools.fetch import FetchFailed, FetchRefused, Origin, checked_addresses

NEVER = [
    "0.0.0.0",  # unspecified
    "0.1.2.3",
    "169.254.169.254",  # a cloud's metadata
    "169.254.1.1",  # link-local
    "100.100.100.200",  # metadata in shared space
    "168.63.129.16",  # a cloud's own, though it looks global
    "192.0.0.192",
    "192.0.2.1",  # documentation
    "192.88.99.1",  # 6to4 relay
    "198.18.0.1",  # benchmarks
    "224.0.0.1",  # multicast
    "239.255.255.250",
    "240.0.0.1",  # reserved
    "255.255.255.255",  # broadcast
    "::",
    "fe80::1",
    "fe80::1%2",
    "2606:4700::1111%2",  # a zone has no place in a global address
    "fec0::1",  # site-local
    "ff02::1",
    "fd00:ec2::254",  # metadata again
    "2001:db8::1",
    "2001::1",  # Teredo
    "3fff::1",
    "64:ff9b:1::1",  # local NAT64
    "::127.0.0.1",  # IPv4-compatible
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "64:ff9b::10.0.0.1",  # NAT64 of a private address
    "64:ff9b::169.254.169.254",
    "2002:7f00:1::1",  # 6to4 of loopback
]
PRIVATE = ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1", "::ffff:10.0.0.1"]
GLOBAL = ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]

HERE = Origin("http", "api.test", 80)


def answering(*addresses: str):
    return lambda host, port: addresses


@pytest.mark.parametrize("address", NEVER)
def test_addresses_that_nobody_may_reach_even_with_a_declaration(address: str) -> None:
    for allowed in ((), {HERE}):
        with pytest.raises(FetchRefused, match="may be reached"):
            checked_addresses("api.test", 80, allowed, resolve=answering(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_needs_a_declaration_of_this_host_and_port(address: str) -> None:
    resolve = answering(address)
    assert checked_addresses("API.test", 80, {HERE}, resolve=resolve) == [ip_address(address)]
    for host, port, allowed in (("api.test", 80, ()), ("api.test", 81, {HERE}), ("other.test", 80, {HERE})):
        with pytest.raises(FetchRefused, match="private = true"):
            checked_addresses(host, port, allowed, resolve=resolve)


@pytest.mark.parametrize("address", GLOBAL)
def test_global_addresses_may_be_reached(address: str) -> None:
    assert checked_addresses("api.test", 80, resolve=answering(address)) == [ip_address(address)]


@pytest.mark.parametrize("addresses", [("8.8.8.8", "10.0.0.1"), ("10.0.0.1", "8.8.8.8")])
def test_a_name_with_a_good_and_a_bad_address_is_refused_whole(addresses: tuple[str, ...]) -> None:
    with pytest.raises(FetchRefused, match=r"10\.0\.0\.1"):
        checked_addresses("both.test", 80, resolve=answering(*addresses))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "::1", "0"])
def test_every_way_to_write_this_machine_is_refused(host: str) -> None:
    with pytest.raises(FetchRefused):
        checked_addresses(host, 80)


@pytest.mark.parametrize("host", ["a" * 70 + ".test", "no-such-host.invalid"])
def test_an_unknown_name_is_said(host: str) -> None:
    with pytest.raises(FetchFailed, match="not known"):
        checked_addresses(host, 80)


def test_a_name_without_addresses_is_said() -> None:
    with pytest.raises(FetchFailed, match="no address"):
        checked_addresses("empty.test", 80, resolve=answering())


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://API.test/a?b", Origin("http", "api.test", 80)),
        ("https://bücher.test", Origin("https", "xn--bcher-kva.test", 443)),
        ("https://[::1]:8443/", Origin("https", "::1", 8443)),
    ],
)
def test_the_origin_of_an_address(url: str, origin: Origin) -> None:
    assert Origin.of(url) == origin


@pytest.mark.parametrize("url", ["ftp://api.test", "/only/a/path", "http://", "http://[::1", "javascript:alert(1)"])
def test_what_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Origin.of(url)
