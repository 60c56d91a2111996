"""How nodes of a job find their own addresses and each other's ports: real sockets, on loopback."""

from __future__ import annotations

import socket

import pytest

from ray_downloader.slurm.addresses import is_listening, own_address, own_address_towards

#: An address whose interface does not exist, so nothing is looked up.
NOWHERE = "fe80::1%no-such-interface"


def test_a_node_reaches_loopback_from_loopback() -> None:
    assert own_address_towards("127.0.0.1") == "127.0.0.1"


def test_a_name_without_an_address_is_an_error() -> None:
    with pytest.raises(OSError, match=r"."):
        own_address_towards(NOWHERE)


def test_the_first_host_that_can_be_reached_decides() -> None:
    assert own_address([NOWHERE, "127.0.0.1"]) == "127.0.0.1"


def test_a_port_listens_until_it_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert is_listening(address)
    assert not is_listening(address)
