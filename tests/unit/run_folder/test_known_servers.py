"""Servers are found in whatever spelling; a miss names what is near."""

from __future__ import annotations

import pytest

from ray_downloader.errors import UserError
from ray_downloader.run_folder.known_servers import KnownServers

KNOWN = KnownServers(
    ["images.museum.org", "xn--mller-kva.example", "a.org:8080", "live.staticflickr.com", "[::1]:81"],
    ["staticflickr.com", "all of a"],
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("images.museum.org", "images.museum.org"),
        (" Images.Museum.ORG ", "images.museum.org"),
        ("images.museum.org.", "images.museum.org"),
        ("images.museum.org:443", "images.museum.org"),
        ("images.museum.org:80", "images.museum.org"),
        ("https://images.museum.org/photo/1.jpg", "images.museum.org"),
        ("images.museum.org/", "images.museum.org"),
        ("müller.example", "xn--mller-kva.example"),
        ("MÜLLER.example.:443", "xn--mller-kva.example"),
        ("a.org%3A8080", "a.org:8080"),
        ("a.org%3a8080", "a.org:8080"),
        ("[::1]:81", "[::1]:81"),
        ("[%3A%3A1]%3A81", "[::1]:81"),
        ("staticflickr.com", "staticflickr.com"),
        ("All of A", "all of a"),
    ],
)
def test_any_spelling_is_understood(text: str, name: str) -> None:
    assert KNOWN.find(text) == name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image.museum.org", "no server of this run is named image.museum.org; did you mean images.museum.org?"),
        ("a.org", "no server of this run is named a.org"),
        ("nothing.like.it", "urls/servers.parquet"),
    ],
)
def test_a_miss_is_said_with_what_is_near(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        KNOWN.find(text)
    assert sentence in str(caught.value)


def test_unknown_names_of_a_list_are_told_with_what_is_near() -> None:
    assert KNOWN.unknown({"images.museum.org", "image.museum.org", "zzz"}) == [
        "image.museum.org (near: images.museum.org)",
        "zzz",
    ]
