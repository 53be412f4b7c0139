"""Which addresses the program may be asked to connect to: the table of what is not the public internet, in every spelling."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.discovery import is_public, public_addresses
from webmail.protocols.errors import Refused

NOT_PUBLIC = [
    # RFC 6890 and the IANA registry of special addresses, IPv4
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255",
    # IPv6
    "::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "feff::1", "fc00::1", "fd12:3456:789a::1", "ff02::1",
    "ff0e::1", "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "3fff::1", "5f00::1",
    # IPv4 inside of IPv6: mapped, compatible, translated, NAT64 (also of one's own network), 6to4, Teredo, ISATAP
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "::127.0.0.1", "::10.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "64:ff9b:1::8.8.8.8", "2002:7f00:1::1", "2002:a00:1::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe", "2a01::5efe:10.0.0.1", "2a01::200:5efe:127.0.0.1",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "2606:4700:4700::1111",
    "2a00:1450:400f:80d::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_not(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4).filter(lambda ip: not is_public(str(ip))))
def test_whatever_is_not_public_is_not_so_inside_of_ipv6_either(ip: Any) -> None:
    number = int(ip)
    for wrapped in (f"::ffff:{ip}", f"::{ip}", f"64:ff9b::{ip}", f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1"):
        assert not is_public(wrapped)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0",
        "[::1]".strip("[]"),
        "localhost",
        "::ffff:7f00:1",
    ],
)
def test_no_spelling_of_an_address_gets_by(host: str) -> None:
    with pytest.raises(Refused):
        public_addresses(host, 80)


def test_one_address_that_is_not_public_spoils_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_args: Any, **_named: Any) -> list[Any]:
        return [(2, 1, 6, "", ("8.8.8.8", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(Refused):
        public_addresses("two.example", 80)
