"""Users and passwords in listed URLs: sent, never written again, and the list's own folder is the user's alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ray_downloader.partition.server_key import RequestUrl, without_user_info
from tests.support.partitioned import partitioned_run


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://u:pw@a.example/x.jpg", "http://a.example/x.jpg"),
        ("HTTPS://u@a.example", "HTTPS://a.example"),
        ("http://u:p@w@a.example/", "http://a.example/"),
        ("http://u r:p w@a.example/", "http://a.example/"),
        ("http:\\\\u:pw@a.example/", "http:\\\\a.example/"),
        ("http:u:pw@a.example/", "http:a.example/"),
        (" http:///u:pw@a.example", " http:///a.example"),
        ("http://a.example/photo@2x.jpg", "http://a.example/photo@2x.jpg"),
        ("http://a.example?mail=me@b.org", "http://a.example?mail=me@b.org"),
        ("http://a.example#@", "http://a.example#@"),
        ("moved to 'https://u:pw@a.example/1' and https://b.example/@me", "moved to 'https://a.example/1' and https://b.example/@me"),
        ("write to me@a.example: http is down", "write to me@a.example: http is down"),
        ("//u:pw@a.example:99999/: not an absolute URL", "//a.example:99999/: not an absolute URL"),
        ("http://a.example//me@b/x.jpg", "http://a.example//me@b/x.jpg"),
        ("no proxy at socks5h://u:pw@proxy:1080", "no proxy at socks5h://proxy:1080"),
    ],
)  # fmt: skip
def test_user_info_is_left_out_and_nothing_else(text: str, shown: str) -> None:
    assert without_user_info(text) == shown


@pytest.mark.parametrize("url", ["http://u:pw@a.example/x.jpg", "http:\\\\u:p@w@a.example\\x", "http:/u:pw@a.example/"])
def test_what_is_sent_has_it_and_what_is_shown_does_not(url: str) -> None:
    target = RequestUrl.parse(url)
    assert (target.host, target.server) == ("a.example", "a.example")
    assert "@" in target.text
    assert "@" not in without_user_info(target.text)
    assert "pw" not in without_user_info(url)


@pytest.mark.parametrize(
    ("url", "modes"),
    [("http://u:pw@a.example/1.jpg", {0o600}), ("http://a.example/1@2x.jpg", {0o644})],
    ids=["password", "none"],
)
def test_a_list_with_passwords_is_closed_to_others(tmp_path: Path, url: str, modes: set[int]) -> None:
    _, layout = partitioned_run(tmp_path, [url, "http://b.example/2.jpg"])
    assert {stat.S_IMODE(path.stat().st_mode) for path in layout.urls.iterdir()} == modes
    assert (stat.S_IMODE(layout.urls.stat().st_mode) == 0o700) == (modes == {0o600})
