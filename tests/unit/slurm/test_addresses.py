"""Addresses of this machine: IPv4 first, IPv6 in brackets."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from ray_downloader.errors import UserError
from ray_downloader.slurm import addresses
from ray_downloader.slurm.addresses import address_of_interface, host_of, own_address, own_address_towards, with_port

V4, V6 = socket.AF_INET, socket.AF_INET6


class Socket:
    """A datagram socket whose own address tells its family."""

    def __init__(self, family: int, _kind: int) -> None:
        self.family = family

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def connect(self, target: tuple[Any, ...]) -> None:
        if target[0] == "unreachable":
            raise OSError("no route")

    def getsockname(self) -> tuple[str, int]:
        return ("10.0.0.1" if self.family == V4 else "fd00::1", 0)


def resolving(monkeypatch: pytest.MonkeyPatch, **by_host: list[tuple[int, str]]) -> None:
    def getaddrinfo(host: str, _port: int, **_: object) -> list[tuple[Any, ...]]:
        if host not in by_host:
            raise socket.gaierror("unknown")
        return [(family, 0, 0, "", (target, 9)) for family, target in by_host[host]]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(addresses.socket, "socket", Socket)
    monkeypatch.setattr(addresses.socket, "gethostname", lambda: "own")


def test_a_name_that_resolves_to_ipv6_first_is_reached_by_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, n2=[(V6, "fd00::2"), (V4, "10.0.0.2")])
    assert own_address_towards("n2") == "10.0.0.1"


def test_an_address_without_a_route_is_not_the_one(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, n2=[(V4, "unreachable"), (V6, "fd00::2")])
    assert own_address_towards("n2") == "fd00::1"


def test_others_that_are_unknown_leave_the_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, own=[(V6, "fd00::1"), (V4, "10.0.0.1")])
    assert own_address(["n2", "n3"]) == "10.0.0.1"


@pytest.mark.parametrize(
    ("host", "address"), [("10.0.0.1", "10.0.0.1:6379"), ("fd00::1", "[fd00::1]:6379"), ("n1", "n1:6379")]
)
def test_an_ipv6_address_is_written_in_brackets_and_read_without(host: str, address: str) -> None:
    assert with_port(host, 6379) == address
    assert host_of(address) == host


@pytest.fixture
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {
        "ib0": [SimpleNamespace(family=V6, address="fe80::1%ib0"), SimpleNamespace(family=V4, address="10.1.0.1")],
        "v6": [SimpleNamespace(family=V6, address="fe80::1%v6")],
        "down": [SimpleNamespace(family=17, address="00:00:00:00:00:00")],
    }
    monkeypatch.setattr(addresses.psutil, "net_if_addrs", lambda: entries)


@pytest.mark.parametrize(("name", "address"), [("ib0", "10.1.0.1"), ("v6", "fe80::1")])
def test_an_interface_gives_its_address(interfaces: None, name: str, address: str) -> None:
    assert address_of_interface(name) == address


@pytest.mark.parametrize(("name", "problem"), [("eth9", "does not exist"), ("down", "has no IP address")])
def test_an_interface_that_cannot_be_used_is_a_mistake(interfaces: None, name: str, problem: str) -> None:
    with pytest.raises(UserError, match=rf"cluster.interface={name} {problem} on .*; it has: down, ib0, v6"):
        address_of_interface(name)
