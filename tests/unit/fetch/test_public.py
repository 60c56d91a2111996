"""Which runs ask servers of other people."""

from __future__ import annotations

import pytest

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.fetch.public import first_public


@pytest.mark.parametrize(
    ("server", "connect_to", "is_public"),
    [
        ("images.museum.org", None, True),
        ("images.museum.org:8080", None, True),
        ("images.museum.org", {"*": "127.0.0.1:1"}, False),
        ("images.museum.org", {"*:443": "127.0.0.1:1"}, False),
        ("images.museum.org", {"other.org": "127.0.0.1:1"}, True),
        ("127.0.0.1:8080", None, False),
        ("10.2.22.15", None, False),
        ("93.184.216.34", None, True),
        ("[::1]", None, False),
        ("localhost", None, False),
        ("photos.example", None, False),
        ("dead.invalid", None, False),
    ],
)
def test_a_public_server_is_told_from_ones_own(server: str, connect_to: dict[str, str] | None, is_public: bool) -> None:
    found = first_public([server], NetworkSettings(connect_to=connect_to, allow_private_addresses=True))
    assert found == (server if is_public else None)


def test_a_server_that_may_not_be_asked_is_not_public() -> None:
    assert first_public(["10.2.22.15", "[::1]", "93.184.216.34"], NetworkSettings()) == "93.184.216.34"
