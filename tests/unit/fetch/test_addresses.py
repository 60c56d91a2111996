from __future__ import annotations

import ipaddress

import pytest

from ray_downloader.fetch import addresses
from ray_downloader.fetch.addresses import is_public_address, is_public_name, is_single_label, literal_address

NOT_PUBLIC = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "168.63.129.16",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "224.0.1.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    # IANA's special-purpose registries as of 2026
    "192.0.0.8",
    "192.88.99.1",
    "198.51.100.1",
    "203.0.113.1",
    "::8.8.8.8",
    "64:ff9b:1::1",
    "64:ff9b:1:fffe::808:808",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2002:c058:6301::",
    "3fff::1",
    "3fff:fff:ffff::1",
    "4000::1",
    "5f00::1",
    "fec0::1",
    "1::1",
    "e000::1",
]
PUBLIC = [
    "8.8.8.8",
    "172.15.0.1",
    "172.32.0.1",
    "100.63.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "192.88.98.1",
    "192.88.100.1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2002:808:808::",
    "2400:cb00::1",
    "3ffe::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_unicast_on_the_public_internet_is_not_public(address: str) -> None:
    assert not is_public_address(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_public(address: str) -> None:
    assert is_public_address(address)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.0x1", "127.0.0.1"),
        ("8.8.8.8", "8.8.8.8"),
        ("[fe80::1%25eth0]", "fe80::1"),
        ("[::1]", "::1"),
        ("example.org", None),
        ("1.example.org", None),
        ("cafe", None),
        ("127.0.0.1.", None),
        ("a\0b", None),
        ("", None),
    ],
)
def test_a_literal_address_is_recognised_in_every_spelling(host: str, address: str | None) -> None:
    assert literal_address(host) == address


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "a.localhost", "localhost.localdomain", "printer.local", "metadata.google.internal", "10.0.0.1",
        "nas.home.arpa", "router.lan", "wiki.corp", "a.intranet", "a.private", "a.home",
    ],
)  # fmt: skip
def test_names_of_local_things_are_not_public(host: str) -> None:
    assert not is_public_name(host)


def test_any_other_name_may_be_public() -> None:
    assert is_public_name("localhost.example.org")
    assert is_public_name("internal.org")
    assert is_public_name("[2606:4700::1111]")


@pytest.mark.parametrize(
    ("host", "is_single"),
    [("metadata", True), ("a.example", False), ("2852039166", False), ("[2606:4700::1111]", False)],
)
def test_a_single_label_is_no_address(host: str, is_single: bool) -> None:
    assert is_single_label(host) is is_single


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1111]", "134744072"])
def test_an_address_of_the_public_internet_may_stand_in_a_url(host: str) -> None:
    assert is_public_name(host)


def test_every_bit_of_an_address_behind_a_translator_counts() -> None:
    assert not is_public_address("64:ff9b::c0a8:ffff"), "192.168.255.255"
    assert is_public_address("64:ff9b::c0a9:0"), "192.169.0.0, the first one after it"


@pytest.mark.parametrize("carried", ["64:ff9b::808:808", "64:ff9b::808:809", "64:ff9b::101:101"])
def test_a_public_address_that_another_carries_is_public_to_the_last_bit(carried: str) -> None:
    address = literal_address(carried)
    assert address is not None
    found = addresses._carried_ipv4(ipaddress.IPv6Address(address))
    assert found is not None
    assert int(found) == int(ipaddress.IPv6Address(carried)) & (2**32 - 1)
