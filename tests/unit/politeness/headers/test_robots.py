from __future__ import annotations

import pytest

from ray_downloader.politeness.headers.robots import (
    MAX_ROBOTS_BYTES,
    RobotsRules,
    RobotsState,
    has_group_for,
    robots_state,
)

AGENT = "ray_downloader/0.1 (+me@example.org)"
BODY = b"""\
User-agent: *
Disallow: /private
Crawl-delay: 2

User-agent: ray_downloader
Disallow: /ours
Crawl-delay: 5
"""


def rules(status: int | None = 200, body: bytes = BODY) -> RobotsRules:
    return RobotsRules.from_answer(status, body, AGENT)


def test_the_group_of_our_product_token_is_ours() -> None:
    assert rules().names_us
    assert not rules().can_fetch("http://a.org/ours/1.jpg")
    assert rules().can_fetch("http://a.org/private/1.jpg")
    assert rules().crawl_delay_s == 5.0


@pytest.mark.parametrize(
    "line",
    [
        "User-agent: ray_downloader",
        "user-agent:RAY_DOWNLOADER",
        "  User-Agent :  ray_downloader/0.1",
        "User-agent: ray-downloader # too fast",
        "Useragent: ray_downloader*",
        'User-agent: "ray_downloader"',
        "User-agent: *ray_downloader*",
        "User-agent: RayDownloader",
        "User-agent: Ray Downloader/0.1",
        "User-agent: *\nUser-agent: ray_downloader (+https://example.org)",
        "User-agent: other\r\nUser-agent: ray_downloader\r",
        "User-agent: other\rDisallow: /\r\rUser-agent: ray_downloader\rAllow: /\r",
    ],
)
def test_a_group_names_us_however_it_spells_our_name(line: str) -> None:
    named = rules(body=f"{line}\nDisallow: /ours\n\nUser-agent: *\nDisallow: /private\n".encode())
    assert named.names_us
    assert has_group_for(AGENT, line)
    assert not named.can_fetch("http://a.org/ours/1.jpg")


@pytest.mark.parametrize(
    "name", ["ray", "ray_downloader_next", "ray_downloaders", "raydownloaders", "downloader", "*", "my_ray_downloader"]
)
def test_a_group_of_another_name_is_not_ours(name: str) -> None:
    others = rules(body=f"# for ray_downloader\nUser-agent: {name}\nDisallow: /x\nCrawl-delay: 7\n".encode())
    assert not others.names_us
    assert not has_group_for(AGENT, f"# for ray_downloader\nUser-agent: {name}\n")
    assert others.can_fetch("http://a.org/x") == (name != "*")
    assert others.crawl_delay_s == (7.0 if name == "*" else None)


@pytest.mark.parametrize("status", [199, 300, 301, 400, 401, 403, 404, 410, 999])
def test_a_file_that_is_not_there_allows_all(status: int) -> None:
    assert rules(status).state is RobotsState.UNAVAILABLE
    assert rules(status).can_fetch("http://a.org/ours/1.jpg")
    assert not rules(status).names_us


@pytest.mark.parametrize("status", [None, 429, 500, 503, 599])
def test_a_server_that_cannot_say_is_asked_again_and_allows_nothing_until_then(status: int | None) -> None:
    assert rules(status).state is RobotsState.UNREACHABLE
    assert not rules(status).can_fetch("http://a.org/1.jpg")
    assert not rules(status).names_us


@pytest.mark.parametrize("status", [200, 203, 204])
def test_a_file_that_was_read_says_so(status: int) -> None:
    assert robots_state(status) is rules(status).state is RobotsState.RULES


@pytest.mark.parametrize(
    ("line", "delay_s"),
    [
        ("", None),
        ("Crawl-delay: 0", None),
        ("Crawl-delay: -3", None),
        ("Crawl-delay: nan", None),
        ("Crawl-delay: soon", None),
        ("Crawl-delay: 0.5", 0.5),
        ("Crawl-delay: 299", 299.0),
        ("Crawl-delay: 86400", 300.0),
        ("Crawl-delay: inf", None),
    ],
)
def test_the_crawl_delay_is_a_number_up_to_five_minutes(line: str, delay_s: float | None) -> None:
    assert rules(body=f"User-agent: *\nDisallow:\n{line}\n".encode()).crawl_delay_s == delay_s


def test_a_file_is_read_up_to_its_limit_and_whatever_its_bytes() -> None:
    assert MAX_ROBOTS_BYTES == 512_000
    padding = b"#" + b"\xff" * MAX_ROBOTS_BYTES + b"\n"
    assert rules(body=b"User-agent: *\nDisallow: /x\n" + padding).can_fetch("http://a.org/y")
    assert rules(body=padding + b"User-agent: *\nDisallow: /\n").can_fetch("http://a.org/y")
    assert not rules(body=b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n").can_fetch("http://a.org/y")


def test_what_the_file_states_about_uses_is_found_by_path_and_query() -> None:
    text = "User-agent: *\nContent-Usage: /a?size=full$ train-ai=n\nContent-Usage: /b train-ai=n\n"
    rules = RobotsRules(text, AGENT)
    reserved = {
        url: bool(rules.usage(f"http://a.example{url}").reserved_by)
        for url in ("/a?size=full", "/a", "/a?size=full&x", "/b", "/b?x", "", "?b")
    }
    assert reserved == {
        "/a?size=full": True, "/a": False, "/a?size=full&x": False, "/b": True, "/b?x": True, "": False, "?b": False,
    }  # fmt: skip
