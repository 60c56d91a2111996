"""What servers state about uses of their files: recorded as it is, and whether it reserves them."""

from __future__ import annotations

import pytest

from ray_downloader.politeness.headers.robots import RobotsRules
from ray_downloader.politeness.headers.usage import RobotsUsage, TdmRepFile, Usage, usage_of_headers

US = "ray_downloader"


@pytest.mark.parametrize(
    ("headers", "text", "is_reserved"),
    [
        ({}, None, False),
        ({"content-usage": "train-ai=n"}, "content-usage: train-ai=n", True),
        ({"content-usage": "search=y, train-ai=y"}, "content-usage: search=y, train-ai=y", False),
        ({"content-usage": "bots=n, train-ai=y"}, "content-usage: bots=n, train-ai=y", False),
        ({"content-usage": "search=n"}, "content-usage: search=n", False),
        ({"content-usage": "search=y\ntrain-ai=n;exp=1"}, "content-usage: search=y train-ai=n;exp=1", True),
        ({"tdm-reservation": "1"}, "tdm-reservation: 1", True),
        ({"tdm-reservation": "0"}, "tdm-reservation: 0", False),
        (
            {"tdm-reservation": "1", "tdm-policy": "https://a.example/p.json"},
            "tdm-reservation: 1; tdm-policy: https://a.example/p.json",
            True,
        ),
        ({"x-robots-tag": "noml"}, "x-robots-tag: noml", True),
        ({"robots-tag": "noai"}, "x-robots-tag: noai", True),
        ({"x-robots-tag": "otherbot: noml"}, "x-robots-tag: otherbot: noml", False),
        ({"x-robots-tag": "max-snippet:5"}, "x-robots-tag: max-snippet:5", False),
    ],
)
def test_headers(headers: dict[str, str], text: str | None, *, is_reserved: bool) -> None:
    usage = usage_of_headers(headers, US)
    assert usage.text == text
    assert bool(usage.reserved_by) == is_reserved


@pytest.mark.parametrize("pattern", ["/a%2fä%7e", "/%61%2F%C3%A4~", "/a%2F%c3%a4~"])
def test_a_path_fits_however_it_is_escaped(pattern: str) -> None:
    usage = RobotsUsage(f"User-agent: *\nContent-Usage: {pattern} train-ai=n", US)
    assert usage.of("/a%2F%C3%A4~").reserved_by
    assert usage.of("/a%2f%c3%a4%7E/x").reserved_by
    assert not usage.of("/a/%C3%A4~").reserved_by


@pytest.mark.parametrize("agent", ["ray_downloader*", "RAY-Downloader", '"ray_downloader"', "ray_downloader/0.1 (x)"])
def test_a_group_that_names_us_states_our_uses_however_it_spells_our_name(agent: str) -> None:
    rules = RobotsRules(f"User-agent: {agent}\nContent-Usage: train-ai=n\n\nUser-agent: *\nAllow: /", US)
    assert rules.usage("http://a.example/1.jpg").reserved_by


ROBOTS = """\
License: https://a.example/license.xml
User-agent: *
Content-Usage: train-ai=y   # in general
Content-Usage: /art/ train-ai=n
Content-Usage: /art/*.gif$ train-ai=y
Disallow: /x

User-agent: otherbot
Content-Signal: ai-train=no
"""


@pytest.mark.parametrize(
    ("path", "is_reserved"), [("/", False), ("/art/1.jpg", True), ("/art/1.gif", False), ("/art/1.gif?x", True)]
)
def test_the_most_specific_line_of_robots_txt_decides(path: str, *, is_reserved: bool) -> None:
    usage = RobotsUsage(ROBOTS, US).of(path)
    assert bool(usage.reserved_by) == is_reserved
    assert usage.statements[0] == "license: https://a.example/license.xml"


def test_a_group_that_names_us_counts_instead_of_that_for_everybody() -> None:
    text = "User-agent: *\nContent-Signal: ai-train=no\n\nUser-agent: a\nUser-agent: Ray-Downloader/2\nAllow: /\n"
    assert RobotsUsage(text, "other").of("/").reserved_by == "robots.txt content-signal: ai-train=no"
    assert RobotsUsage(text, US).of("/").text is None


def test_rules_of_robots_txt_have_it_for_a_url() -> None:
    rules = RobotsRules(ROBOTS, US)
    assert rules.usage("http://a.example/art/1.jpg").reserved_by == "robots.txt content-usage: train-ai=n"
    assert rules.usage("http://a.example").reserved_by == ""


TDMREP = """[
    {"location": "/open/", "tdm-reservation": 0},
    {"location": "/*.png$", "tdm-reservation": "1", "tdm-policy": "https://a.example/terms"},
    {"location": "/", "tdm-reservation": 1},
    {"tdm-reservation": 1}, "nonsense", {"location": 3, "tdm-reservation": 1}
]"""


@pytest.mark.parametrize(
    ("path", "text", "is_reserved"),
    [
        ("/open/a.png", "tdmrep.json tdm-reservation: 0", False),
        ("/b.png", "tdmrep.json tdm-reservation: 1; tdm-policy: https://a.example/terms", True),
        ("/c.jpg", "tdmrep.json tdm-reservation: 1", True),
    ],
)
def test_the_first_rule_of_tdmrep_that_fits_counts(path: str, text: str, is_reserved: bool) -> None:
    usage = TdmRepFile(TDMREP).of(path)
    assert (usage.text, bool(usage.reserved_by)) == (text, is_reserved)


@pytest.mark.parametrize(("reservation", "is_reserved"), [("1", True), ('" 1"', True), ("true", True), ("2", False)])
def test_a_reservation_is_one_however_it_is_written(reservation: str, *, is_reserved: bool) -> None:
    file = TdmRepFile(f'[{{"location": "/", "tdm-reservation": {reservation}}}]')
    assert bool(file.of("/1.jpg").reserved_by) == is_reserved


@pytest.mark.parametrize(
    "text", ["", "<html>", "{}", "null", '[{"location": "/x/", "tdm-reservation": 1}]', "[" * 10**5]
)
def test_what_is_no_rule_for_a_path_reserves_nothing(text: str) -> None:
    assert TdmRepFile(text).of("/a.jpg") == Usage()


@pytest.mark.parametrize(
    ("headers", "text", "is_reserved"),
    [
        ({"tdm-reservation": "0\n1"}, "tdm-reservation: 0 1", True),
        ({"tdm-reservation": "1, 1"}, "tdm-reservation: 1, 1", True),
        ({"tdm-reservation": "10"}, "tdm-reservation: 10", False),
        ({"content-signal": "ai-train=no"}, "content-signal: ai-train=no", True),
        ({"x-robots-tag": "noindex; noml"}, "x-robots-tag: noindex; noml", True),
        ({"robots-tag": "ray-downloader: noml"}, "x-robots-tag: ray-downloader: noml", True),
        ({"link": '<https://a.test>; rel="license"; type="application/rsl+xml"'}, "license: https://a.test", False),
        ({"link": '</b>; rel=next, </t>; type="application/rsl+xml"; rel=license'}, "license: /t", False),
        ({"link": '<https://a.example/by>; rel="license"'}, None, False),
    ],
)  # fmt: skip
def test_headers_are_read_as_they_are_sent(headers: dict[str, str], text: str | None, is_reserved: bool) -> None:
    usage = usage_of_headers(headers, US)
    assert (usage.text, bool(usage.reserved_by)) == (text, is_reserved)


def test_a_path_may_begin_with_a_wildcard() -> None:
    usage = RobotsUsage("User-agent: *\nContent-Usage: *.jpg train-ai=n\n", US)
    assert (bool(usage.of("/a/b.jpg").reserved_by), bool(usage.of("/a/b.png").reserved_by)) == (True, False)


def test_a_single_rule_of_tdmrep_needs_no_list() -> None:
    assert TdmRepFile('{"location": "/", "tdm-reservation": 1}').of("/a.jpg").reserved_by


def test_a_group_that_names_us_counts_instead_of_the_one_for_everybody() -> None:
    ours = "User-agent: a\nUser-agent: Ray-Downloader/1\nContent-Usage: /b train-ai=n\n"
    text = f"User-agent: *\nContent-Usage: train-ai=y\n\n{ours}"
    assert RobotsUsage(text, US).of("/b").reserved_by == "robots.txt content-usage: train-ai=n"
    assert RobotsUsage(text, US).of("/c").text is None, "ours says nothing about it, and that of others is not ours"
    assert RobotsUsage(text, "other").of("/b").text == "robots.txt content-usage: train-ai=y"
    assert RobotsUsage("Content-Usage: train-ai=n\n", US).of("/").reserved_by, "a line of no group is for everybody"
