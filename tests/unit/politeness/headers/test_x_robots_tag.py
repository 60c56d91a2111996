from __future__ import annotations

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.headers.x_robots_tag import OPT_OUT_ANSWERS, OptOutBreaker, find_opt_out

DIRECTIVES = ("noai", "noimageai", "noindex", "noimageindex")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("noai", "noai"),
        ("NoImageAI, nofollow", "noimageai"),
        ("nofollow, noindex", "noindex"),
        ("none", "noindex"),
        ("ray_downloader: noai", "noai"),
        ("*: noindex", "noindex"),
        ("otherbot: nofollow\nnoai", "noai"),
        ("otherbot: noindex, ray_downloader: noai", "noai"),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST, noindex", "noindex"),
        ("unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, noindex", "noindex"),
        ("unavailable_after: Friday, 25-Jun-10 15:00:00 GMT, noindex", "noindex"),
        ("unavailable_after: 2010-06-25T15:00:00Z, noai", "noai"),
        ("ray_downloader: unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, noai", "noai"),
        ("max-image-preview: large, noimageindex", "noimageindex"),
        ("noindex noai", "noindex"),
        ("ray_downloader/0.1: noai", "noai"),
    ],
)
def test_a_directive_for_us_is_found(header: str, found: str) -> None:
    assert find_opt_out(header, DIRECTIVES, "ray_downloader") == found


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "all",
        "nofollow",
        "otherbot: noai",
        "otherbot: nofollow, noindex",
        "otherbot: unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, noindex",
        "otherbot: unavailable_after: 25 Jun 2010 15:00:00 GMT, noindex",
        "unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT",
        "noaifoo",
        "max-image-preview: none",
    ],
)
def test_what_is_not_for_us_does_not_exclude(header: str | None) -> None:
    assert find_opt_out(header, DIRECTIVES, "ray_downloader") is None


def test_no_directive_is_looked_for_where_none_is_configured() -> None:
    assert find_opt_out("noai, noindex", (), "ray_downloader") is None


def test_a_server_that_always_opts_out_is_not_asked_again() -> None:
    breaker = OptOutBreaker()
    for _ in range(OPT_OUT_ANSWERS):
        assert not breaker.is_open
        breaker.observe(ErrorKind.OPTED_OUT)
    assert breaker.is_open


def test_one_file_shows_that_the_server_does_not_opt_out_as_a_whole() -> None:
    breaker = OptOutBreaker()
    breaker.observe(None)
    for _ in range(10 * OPT_OUT_ANSWERS):
        breaker.observe(ErrorKind.OPTED_OUT)
    assert not breaker.is_open


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Ray_Downloader: NOAI", "noai"),
        ("noarchive, noimageindex, noai", "noimageindex"),
        ("otherbot: nofollow, *: noai", "noai"),
        ("otherbot: none\nray_downloader: nofollow, none", "noindex"),
        ("otherbot: unavailable_after: 25 Jun 2010 15:00:00 PST, noai", None),
    ],
)
def test_a_scope_holds_for_the_rest_of_its_line(header: str, found: str | None) -> None:
    assert find_opt_out(header, DIRECTIVES, "Ray_Downloader") == found


def test_a_server_is_left_alone_after_ten_answers_in_which_nothing_was_served() -> None:
    breaker = OptOutBreaker()
    assert (breaker.answers, breaker.has_served) == (0, False)
    for _ in range(20):
        breaker.observe(ErrorKind.TIMEOUT)
    for _ in range(9):
        breaker.observe(ErrorKind.OPTED_OUT)
    assert (breaker.answers, breaker.is_open) == (9, False)
    breaker.observe(ErrorKind.OPTED_OUT)
    assert breaker.is_open
    breaker.observe(None)
    breaker.observe(ErrorKind.OPTED_OUT)
    assert not breaker.is_open
