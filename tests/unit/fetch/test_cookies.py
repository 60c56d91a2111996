"""Cookies of one row: who gets them back, for how long, and that nothing a server sends breaks the reading."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.fetch.cookies import RedirectCookies
from ray_downloader.partition.server_key import RequestUrl

NOW_S = 1_700_000_000.0
WALL = "https://www.museum.example/files/deep/a.jpg"


def jar_of(*lines: str, url: str = WALL) -> RedirectCookies:
    jar = RedirectCookies()
    jar.add(RequestUrl.parse(url), {"set-cookie": "\n".join(lines)}, NOW_S)
    return jar


def sent(jar: RedirectCookies, url: str) -> str | None:
    return jar.header(RequestUrl.parse(url))


def test_a_cookie_goes_back_to_the_host_that_set_it_and_to_no_other() -> None:
    jar = jar_of("seen=1; Path=/; HttpOnly; SameSite=Lax")
    assert sent(jar, "https://www.museum.example/") == "seen=1"
    assert sent(jar, "https://www.museum.example:8443/x") == "seen=1"
    for other in ("https://museum.example/", "https://a.www.museum.example/", "https://evil.example/"):
        assert sent(jar, other) is None


def test_a_stated_domain_reaches_its_hosts_only() -> None:
    for spelled in ("museum.example", ".Museum.Example"):
        jar = jar_of(f"seen=1; Domain={spelled}; Path=/")
        for host in ("museum.example", "www.museum.example", "cdn.a.museum.example"):
            assert sent(jar, f"https://{host}/x") == "seen=1"
        for host in ("badmuseum.example", "museum.example.evil.org", "example"):
            assert sent(jar, f"https://{host}/x") is None


@pytest.mark.parametrize("domain", ["other.example", "example", "a.www.museum.example", "seum.example", "."])
def test_a_domain_that_is_not_the_hosts_own_is_refused(domain: str) -> None:
    jar = jar_of(f"a=1; Domain={domain}; Path=/")
    assert sent(jar, WALL) == ("a=1" if domain == "." else None)
    assert sent(jar, f"https://{domain.strip('.') or 'x.example'}/") is None


def test_part_of_an_address_is_not_a_domain() -> None:
    jar = jar_of("a=1; Domain=0.0.1; Path=/", url="http://127.0.0.1/")
    assert not jar
    assert sent(jar_of("a=1; Domain=127.0.0.1", url="http://127.0.0.1/"), "http://127.0.0.1/") == "a=1"


@pytest.mark.parametrize(
    ("attribute", "path", "is_sent"),
    [
        ("; Path=/files", "/files", True),
        ("; Path=/files", "/files/b", True),
        ("; Path=/files/", "/files/b", True),
        ("; Path=/files", "/filesystem", False),
        ("; Path=/files", "/", False),
        ("", "/files/deep/b.jpg", True),
        ("", "/files/deep", True),
        ("", "/files/b.jpg", False),
        ("; Path=relative", "/files/deep/b.jpg", True),
        ("; Path=relative", "/", False),
    ],
)
def test_a_path_limits_where_it_goes(attribute: str, path: str, is_sent: bool) -> None:
    header = sent(jar_of(f"a=1{attribute}"), f"https://www.museum.example{path}?Path=/")
    assert header == ("a=1" if is_sent else None)


def test_a_secure_cookie_is_not_sent_in_the_clear() -> None:
    jar = jar_of("a=1; Secure; Path=/", "b=2; Path=/")
    assert sent(jar, "https://www.museum.example/") == "a=1; b=2"
    assert sent(jar, "http://www.museum.example/") == "b=2"


def test_the_longer_path_comes_first_and_a_later_cookie_replaces_an_earlier() -> None:
    jar = jar_of("a=1; Path=/", "b=2; Path=/files", "a=3; Path=/")
    assert sent(jar, WALL) == "b=2; a=3"


@pytest.mark.parametrize(
    ("attributes", "is_alive"),
    [
        ("Max-Age=0", False),
        ("Max-Age=-1", False),
        ("Max-Age=00", False),
        ("Max-Age=60", True),
        ("Max-Age=soon", True),
        ("Expires=Thu, 01 Jan 1970 00:00:00 GMT", False),
        ("Expires=Tue, 14-Nov-2023 22:13:19 GMT", False),
        ("Expires=Tue, 14 Nov 2023 22:13:21 GMT", True),
        ("Expires=Thu, 01 Jan 2099 00:00:00 GMT", True),
        ("Expires=yesterday", True),
        ("Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", True),
        ("Max-Age=0; Expires=Thu, 01 Jan 2099 00:00:00 GMT", False),
    ],
)
def test_a_server_takes_a_cookie_back_by_letting_it_expire(attributes: str, is_alive: bool) -> None:
    jar = jar_of("a=1; Path=/", f"a=2; Path=/; {attributes}")
    assert sent(jar, WALL) == ("a=2" if is_alive else None)


@pytest.mark.parametrize("line", ["", "novalue", "=1", ";", "a=\x00b", "a\r=b", "a=b\tc", "a=" + "x" * 4096])
def test_what_is_not_a_cookie_is_passed_over(line: str) -> None:
    assert sent(jar_of(line, "good=1"), WALL) == "good=1"


def test_values_may_hold_equals_signs_quotes_and_nothing() -> None:
    assert sent(jar_of('a="x=y,z"', "b="), WALL) == 'a="x=y,z"; b='


def test_a_server_cannot_fill_the_jar_without_end() -> None:
    header = sent(jar_of(*(f"c{number}=1" for number in range(80))), WALL)
    assert header is not None
    assert header.count("=") == 50


def test_a_jar_survives_a_restart_as_json() -> None:
    jar = jar_of("a=1; Secure", "b=2; Domain=museum.example; Path=/")
    again = RedirectCookies.load(json.loads(json.dumps(jar.dump())))
    for url in (WALL, "http://www.museum.example/x", "https://museum.example/", "https://other.example/"):
        assert sent(again, url) == sent(jar, url)
    assert not RedirectCookies.load([])


_LINES = st.lists(
    st.text(st.characters(max_codepoint=255), max_size=40)
    | st.builds("{}={}; {}={}".format, *[st.text(st.characters(max_codepoint=255), max_size=12)] * 4)
)


@given(_LINES)
def test_no_line_breaks_the_reading_or_gets_a_control_character_into_a_request(lines: list[str]) -> None:
    header = sent(jar_of(*lines), WALL)
    assert header is None or (header.isprintable() or not any(ord(char) < 32 or ord(char) == 127 for char in header))
    header_elsewhere = sent(jar_of(*lines), "https://elsewhere.example/")
    assert header_elsewhere is None


def test_a_file_at_the_top_sets_cookies_for_all() -> None:
    jar = jar_of("a=1", url="https://www.museum.example/a.jpg")
    assert sent(jar, "https://www.museum.example/elsewhere/b.jpg") == "a=1"
