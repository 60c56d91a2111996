"""Servers are found in whatever spelling; a miss names what is near."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.config.settings import DownloaderParameters, OutputStructure, PolitenessSettings
from ray_downloader.errors import UserError
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.run_folder.known_servers import KnownServers
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.server_states import save_server_states

KNOWN = KnownServers(
    [
        "images.museum.org",
        "xn--mller-kva.example",
        "a.org:8080",
        "live.staticflickr.com",
        "[::1]:81",
        "staticflickr.com",
        "all of a",
    ]
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


def test_three_names_that_are_near_are_enough() -> None:
    known = KnownServers([f"images{number}.museum.org" for number in range(6)])
    assert len(known.near("images.museum.org")) == 3


def test_a_run_knows_what_it_lists_the_groups_of_these_and_where_redirects_led(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    policies = PolicyBook(PolitenessSettings(), DownloaderParameters(), {})
    grouped = "live.staticflickr.com"
    group = policies.budget_key(grouped)
    assert group != grouped
    assert grouped not in KnownServers.of_run(layout, policies), "not before the partition stage"

    layout.servers_table.parent.mkdir(parents=True)
    pq.write_table(pa.table({"server_name": ["a.example", grouped]}), layout.servers_table)
    layout.schedules.mkdir()
    save_server_states(layout, {"a.example": {}, group: {}, "cdn.example": {}})
    known = KnownServers.of_run(layout, policies)
    assert known.unknown(["a.example", grouped, "cdn.example", group, "qqq"]) == ["qqq"]

    save_server_states(layout, {})
    assert KnownServers.of_run(layout, policies).find(group) == group, "the group of a server not yet met"
    others = policies.groups - {group}
    assert others and known.unknown(others) == sorted(others), "no server of this run is in one of them"
