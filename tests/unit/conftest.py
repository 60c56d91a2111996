"""Unit tests touch neither the network nor Ray: what decides is tested without what acts."""

from __future__ import annotations

import socket
import sys
from typing import NoReturn

import pytest


def _forbidden(*_args: object, **_options: object) -> NoReturn:
    raise AssertionError("a unit test must not use the network or start Ray; pass in what decides, or move the test")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, name, _forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", _forbidden)
    if "ray" in sys.modules:
        monkeypatch.setattr(sys.modules["ray"], "init", _forbidden)
        monkeypatch.setattr(sys.modules["ray"], "is_initialized", lambda: False)  # one of another test is not ours
