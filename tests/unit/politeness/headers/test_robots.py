from __future__ import annotations

import pytest

from ray_downloader.politeness.headers.robots import MAX_CRAWL_DELAY_S, MAX_ROBOTS_BYTES, RobotsRules

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
    assert not rules().can_fetch("http://a.org/ours/1.jpg")
    assert rules().can_fetch("http://a.org/private/1.jpg")
    assert rules().crawl_delay_s == 5.0


@pytest.mark.parametrize("status", [301, 400, 403, 404, 410])
def test_a_file_that_is_not_there_allows_all(status: int) -> None:
    assert rules(status).can_fetch("http://a.org/ours/1.jpg")


@pytest.mark.parametrize("status", [None, 500, 503])
def test_a_server_that_cannot_say_forbids_all(status: int | None) -> None:
    assert not rules(status).can_fetch("http://a.org/1.jpg")


def test_no_crawl_delay_is_none() -> None:
    assert rules(body=b"User-agent: *\nDisallow:\n").crawl_delay_s is None


def test_an_endless_crawl_delay_is_cut() -> None:
    assert rules(body=b"User-agent: *\nCrawl-delay: 86400\n").crawl_delay_s == MAX_CRAWL_DELAY_S


def test_a_file_is_read_up_to_its_limit_and_whatever_its_bytes() -> None:
    padding = b"#" + b"\xff" * MAX_ROBOTS_BYTES + b"\n"
    assert rules(body=b"User-agent: *\nDisallow: /x\n" + padding).can_fetch("http://a.org/y")
    assert rules(body=padding + b"User-agent: *\nDisallow: /\n").can_fetch("http://a.org/y")
