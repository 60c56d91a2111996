"""Server keys and request URLs, also against the vectors of the web platform tests."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.partition.server_key import _FILE_ENDINGS, BadUrlError, RequestUrl, named_server, server_key
from tests.support.lists import real_data


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://Example.ORG/a.jpg", "example.org"),
        ("https://example.org:443/a", "example.org"),
        ("http://example.org:443/a", "example.org:443"),
        ("http://example.org:80", "example.org"),
        ("https://example.org:80/", "example.org:80"),
        ("http://user:secret@example.org/a", "example.org"),
        ("https://münchen.example/ü.jpg", "xn--mnchen-3ya.example"),
        ("https://example.org./a", "example.org"),
        ("http://[2001:DB8::0:1]:8080/", "[2001:db8::1]:8080"),
        ("http://[::1]:80/", "[::1]"),
        ("http://0x7f.1/", "127.0.0.1"),
        ("http://2130706433/", "127.0.0.1"),
        ("http:\\\\example.org\\a", "example.org"),
        ("http://%65xample.org/", "example.org"),
        ("http://example.org/http://other.org:81/x", "example.org"),
        ("http://a_b.example.org/", "a_b.example.org"),
    ],
)
def test_one_server_has_one_key(url: str, key: str) -> None:
    assert server_key(url) == key


@pytest.mark.parametrize(
    "url",
    [
        "",
        "UNLIKELY",
        "media/a.jpg",
        "//example.org/a.jpg",
        "ftp://example.org/a.jpg",
        "data:image/png;base64,AAAA",
        "http://",
        "http://exa mple.org/",
        "http://example.org:99999/",
        "http://[::1/",
        "http://a\x00b/",
        "http://\ud800/",
        "http://" + "a." * 130 + "org/",
    ],
)
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(BadUrlError):
        server_key(url)


def test_the_url_to_send_is_percent_encoded_and_has_no_fragment() -> None:
    assert RequestUrl.parse("HTTP://Example.org:80/a b/ü.jpg?q=“x”#top").text == (
        "http://example.org/a%20b/%C3%BC.jpg?q=%E2%80%9Cx%E2%80%9D"
    )


def test_a_url_is_parsed_once_into_what_every_room_needs() -> None:
    url = RequestUrl.parse("HTTPS://User:pw@Example.ORG.:443/a b#top")
    assert (url.server, url.scheme, url.host, url.port) == ("example.org", "https", "example.org", 443)
    assert str(url) == url.text == "https://User:pw@example.org./a%20b"
    plain = RequestUrl.parse("http://example.org/#")
    assert (plain.scheme, plain.port, plain.text) == ("http", 80, "http://example.org/")
    address = RequestUrl.parse("http://[2001:DB8::1]:8080/")
    assert (address.server, address.host, address.port) == ("[2001:db8::1]:8080", "2001:db8::1", 8080)


@given(st.text(max_size=60))
def test_the_parsed_url_agrees_with_the_key_and_is_a_fixed_point(text: str) -> None:
    try:
        url = RequestUrl.parse(f"http://{text}")
    except BadUrlError:
        return
    assert url.server == server_key(f"http://{text}")
    assert url.text.isascii() and " " not in url.text and "#" not in url.text
    assert RequestUrl.parse(url.text) == url


def test_what_is_encoded_already_is_left_alone() -> None:
    url = "https://example.org/Doc%20Ricketts/03_21.png?a=%2F&b"
    assert RequestUrl.parse(url).text == url


@given(st.text(max_size=60))
def test_any_text_has_a_key_or_is_refused(text: str) -> None:
    for candidate in (text, f"http://{text}/"):
        try:
            key = server_key(candidate)
        except BadUrlError:
            continue
        assert key == key.lower()
        assert "/" not in key
        assert server_key(f"http://{key}/") in (key, key.removesuffix(":80"))


def _vectors() -> list[dict[str, str]]:
    entries = json.loads(real_data("lists/url_parsing/urltestdata.json").read_text("utf-8"))
    return [entry for entry in entries if isinstance(entry, dict)]


def test_keys_have_host_and_port_of_the_standards_vectors() -> None:
    checked = 0
    for entry in _vectors():
        if entry.get("protocol") in ("http:", "https:"):
            url = entry["href"] if entry.get("base") else entry["input"]
            host = entry["hostname"].removesuffix(".") or entry["hostname"]
            expected = host + (f":{entry['port']}" if entry["port"] else "")
            assert server_key(url) == expected, entry
            assert RequestUrl.parse(url).text == entry["href"].partition("#")[0], entry
            checked += 1
    assert checked > 200


def test_failures_of_the_standards_vectors_are_refused() -> None:
    refused = [entry["input"] for entry in _vectors() if entry.get("failure") and not entry.get("base")]
    for url in refused:
        with pytest.raises(BadUrlError):
            server_key(url)
    assert len(refused) > 100


def test_other_schemes_of_the_standards_vectors_are_refused() -> None:
    others = [entry["href"] for entry in _vectors() if entry.get("protocol") not in (None, "http:", "https:")]
    for url in others:
        assert urlsplit(url).scheme not in ("http", "https")
        with pytest.raises(BadUrlError):
            server_key(url)
    assert len(others) > 100


@pytest.mark.parametrize("name", ["a.example:8080", "a.example%3A8080", "A.example%3a8080", "http://a.example:8080/1"])
def test_a_server_is_known_by_what_people_and_folders_call_it(name: str) -> None:
    assert named_server(name) == "a.example:8080"


def test_a_default_port_is_no_part_of_a_name() -> None:
    assert {named_server(f" a.example{port}") for port in ("", ":80", ":443", "%3A443", "/x")} == {"a.example"}


def test_the_name_of_a_file_is_not_that_of_a_host() -> None:
    for ending in sorted(_FILE_ENDINGS):
        with pytest.raises(BadUrlError, match="is not the name of a host"):
            server_key(f"http://picture.{ending}/")


def test_a_host_name_has_at_most_as_many_characters_as_the_dns_allows() -> None:
    """RFC 1035, 2.3.4: 255 octets, of which two are the first length and the root."""
    longest = ".".join(["a" * 62] * 4) + ".a"
    assert len(longest) == 253
    assert server_key(f"http://{longest}/1.jpg") == longest
    with pytest.raises(BadUrlError, match="host name too long"):
        server_key(f"http://{longest}b/1.jpg")
