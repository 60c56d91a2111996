from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.answer import (
    ERROR_PAGE_BYTES,
    declared_size_bytes,
    first_words,
    kind_of_status,
    merged_headers,
    names_gzip,
    read_head,
    redirect_target,
    said_of,
    sent_secrets,
)
from ray_downloader.partition.server_key import RequestUrl

GZIP = {"content-encoding": "gzip"}
LATER = {"retry-after": "60"}
HTML = {"content-type": "text/html"}
BASE = RequestUrl.parse("https://a.example/folder/one.jpg?q=1")


@pytest.mark.parametrize(
    ("status", "plain", "with_retry_after"),
    [
        (100, ErrorKind.RESET, ErrorKind.RESET),
        (199, ErrorKind.RESET, ErrorKind.RESET),
        (200, None, None),
        (202, None, ErrorKind.HTTP_429),
        (203, None, None),
        (204, ErrorKind.EMPTY, ErrorKind.EMPTY),
        (205, ErrorKind.EMPTY, ErrorKind.EMPTY),
        (206, ErrorKind.TRUNCATED, ErrorKind.TRUNCATED),
        (299, None, None),
        (300, ErrorKind.HTTP_4XX, ErrorKind.HTTP_4XX),
        (304, ErrorKind.HTTP_4XX, ErrorKind.HTTP_4XX),
        (402, ErrorKind.PAYMENT_REQUIRED, ErrorKind.PAYMENT_REQUIRED),
        (403, ErrorKind.HTTP_4XX, ErrorKind.HTTP_403_BAN),
        (404, ErrorKind.HTTP_4XX, ErrorKind.HTTP_4XX),
        (408, ErrorKind.HTTP_5XX, ErrorKind.HTTP_5XX),
        (413, ErrorKind.HTTP_4XX, ErrorKind.HTTP_429),
        (420, ErrorKind.HTTP_429, ErrorKind.HTTP_429),
        (421, ErrorKind.HTTP_5XX, ErrorKind.HTTP_5XX),
        (425, ErrorKind.HTTP_5XX, ErrorKind.HTTP_5XX),
        (429, ErrorKind.HTTP_429, ErrorKind.HTTP_429),
        (499, ErrorKind.HTTP_4XX, ErrorKind.HTTP_4XX),
        (500, ErrorKind.HTTP_5XX, ErrorKind.HTTP_5XX),
        (503, ErrorKind.HTTP_5XX, ErrorKind.HTTP_5XX),
        (509, ErrorKind.HTTP_5XX, ErrorKind.HTTP_5XX),
        (599, ErrorKind.HTTP_5XX, ErrorKind.HTTP_5XX),
        (600, ErrorKind.HTTP_4XX, ErrorKind.HTTP_4XX),
        (999, ErrorKind.HTTP_4XX, ErrorKind.HTTP_4XX),
    ],
)
def test_each_status_has_its_kind(status: int, plain: ErrorKind | None, with_retry_after: ErrorKind | None) -> None:
    assert (kind_of_status(status, {}), kind_of_status(status, LATER)) == (plain, with_retry_after)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n", 200),
        (b"HTTP/1.1 200\r\n", 200),
        (b"HTTP/1.1 200OK\r\n", 200),
        (b"HTTP/1.1 404Not Found\r\n", 404),
        (b"HTTP/2 301 \r\n", 301),
        (b"http/1.0   503 Sorry\r\n", 503),
        (b"HTTP/1.1 99999 OK\r\n", 999),
        (b"HTTP/1.1 20 OK\r\n", 0),
        (b"HTTP/1.1 -1 OK\r\n", 0),
        (b"HTTP/1.1\r\n", 0),
        (b"HTTP/x: 200\r\n", 0),
        (b"ICY 200 OK\r\n", 0),
    ],
)
def test_a_status_line_is_read_as_libcurl_reads_it(line: bytes, status: int) -> None:
    assert read_head([line, b"A: b\r\n", b"\r\n"]) == (status, {"a": "b"} if status else {})


def test_the_last_head_counts_and_trailers_do_not() -> None:
    lines = [
        b"HTTP/1.1 200 Connection established\r\n",
        b"Via: proxy\r\n",
        b"\r\n",
        b"HTTP/1.1 103 Early Hints\r\n",
        b"\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/x: odd, and harmless\r\n",
        b"no colon\r\n",
        b"ETag: 1\r\n",
        b"\r\n",
        b"Retry-After: 60\r\n",
        b"HTTP/1.1 404 x: y\r\n",
        b"\r\n",
    ]
    assert read_head(lines) == (200, {"http/x": "odd, and harmless", "etag": "1"})
    assert read_head([]) == (0, {})
    assert read_head([b"HTTP/1.1 302 Found\n", b"Location: /x\n", b"\n"]) == (302, {"location": "/x"})


def test_header_names_are_lower_case_and_repeated_ones_are_lines_of_one_value() -> None:
    pairs = [("X-Robots-Tag", " noai"), ("ETag", '"a:b"'), ("x-robots-tag ", "noindex, nofollow "), ("Empty", "")]
    assert merged_headers(pairs) == {"x-robots-tag": "noai\nnoindex, nofollow", "etag": '"a:b"', "empty": ""}


def test_a_value_cannot_hold_a_line_of_its_own() -> None:
    assert merged_headers([("A", "1\r\n 2"), ("B", "x\x00y\t\x7f")]) == {"a": "1 2", "b": "x y"}


@given(st.lists(st.binary(max_size=30) | st.from_regex(rb"HTTP/1\.1 \d{1,5}[ \w]*\r\n"), max_size=8))
def test_no_head_breaks_the_reading(lines: list[bytes]) -> None:
    status, headers = read_head(lines)
    assert 0 <= status <= 999
    assert not any(char in value for value in headers.values() for char in "\r\x00")
    redirect_target(BASE, status, headers)
    said_of(status, headers, b"".join(lines))
    kind_of_status(status, headers)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b.jpg", "https://a.example/b.jpg"),
        ("b.jpg", "https://a.example/folder/b.jpg"),
        ("?q=2", "https://a.example/folder/one.jpg?q=2"),
        ("//b.example", "https://b.example/"),
        ("http://b.example:80/x#part", "http://b.example/x"),
        ("/a%20b c", "https://a.example/a%20b%20c"),
        ("/caf\xe9.jpg", "https://a.example/caf%E9.jpg"),
        ("/caf\xc3\xa9.jpg", "https://a.example/caf%C3%A9.jpg"),
        ("http://m\xc3\xbcnchen.example/", "http://xn--mnchen-3ya.example/"),
        ("http://m\xfcnchen.example/x", "http://m%FCnchen.example/x"),
        ("http://[::1", "http://[::1"),
        ("ftp://b.example/x", "ftp://b.example/x"),
        ("/first\n/second", "https://a.example/first"),
    ],
)
def test_a_redirect_leads_to_an_absolute_url(location: str, target: str) -> None:
    assert redirect_target(BASE, 302, {"location": location}) == target


@pytest.mark.parametrize("status", [200, 201, 304, 305, 306, 399, 404, 503])
def test_other_answers_with_a_location_do_not_redirect(status: int) -> None:
    assert redirect_target(BASE, status, {"location": "/b.jpg"}) is None
    assert redirect_target(BASE, 302, {"location": ""}) is None
    assert redirect_target(BASE, 302, {}) is None


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_every_kind_of_redirect_is_one(status: int) -> None:
    assert redirect_target(BASE, status, {"location": "/b"}) == "https://a.example/b"


@given(st.text(st.characters(max_codepoint=255), min_size=1))
def test_any_location_is_ascii_and_does_not_raise(location: str) -> None:
    target = redirect_target(BASE, 301, merged_headers([("Location", location)]))
    assert target is None or target.isascii()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("12", 12),
        ("0", 0),
        ("", None),
        ("-1", None),
        ("1e3", None),
        ("12\n12", None),
        ("²", None),
        ("9" * 19, int("9" * 19)),
        ("9" * 20, None),
        ("9" * 5000, None),
    ],
)
def test_only_a_plain_number_is_a_declared_size(text: str, size: int | None) -> None:
    assert declared_size_bytes({"content-length": text}) == size


def test_so_much_of_an_error_page_is_read() -> None:
    assert ERROR_PAGE_BYTES == 65536


@pytest.mark.parametrize(
    ("headers", "is_named"),
    [({"content-encoding": "X-GZIP"}, True), (GZIP, True), ({"content-encoding": "br"}, False), ({}, False)],
)
def test_gzip_is_named_in_whatever_case(headers: dict[str, str], is_named: bool) -> None:
    assert names_gzip(headers) is is_named


@pytest.mark.parametrize(
    ("page", "headers", "words"),
    [
        (b"Slow down,\n\t please.", {"content-type": "text/plain"}, "Slow down, please."),
        (b"<h1>Sorry</h1><p>Not&nbsp;here &amp; now</p>", HTML, "Sorry Not here & now"),
        (
            b"<head><title>t</title></head><style>p{}</style><script>if(a<b){}</script><p>Go<!-- no -->away",
            HTML,
            "Go away",
        ),
        (b"<html><head><title>403 Forbidden</title></head><body></body>", HTML, "403 Forbidden"),
        (b'{"error": "quota exceeded"}', {"content-type": "application/json"}, '{"error": "quota exceeded"}'),
        (b"caf\xe9", {"content-type": "text/html; charset=ISO-8859-1"}, "caf\xe9"),
        (b"caf\xc3\xa9", {"content-type": "text/html; charset=nonsense"}, "caf\xe9"),
        (b"\xff\xd8\xff\xe0 pixels", {"content-type": "image/jpeg"}, ""),
        (b"\xff\xd8\xff\xe0 pixels", {}, ""),
        (b"plain", {}, "plain"),
        (b"", HTML, ""),
        (b"<script>never closed", HTML, ""),
        (b"a < b", HTML, "a"),
        (gzip.compress(b"<p>packed</p>", mtime=0), HTML | GZIP, "packed"),
        (gzip.compress(b"<p>packed</p>", mtime=0)[:-9], HTML | GZIP, "packed"),
        (b"\x1f\x8bbroken", HTML | GZIP, ""),
        (b"bad\x00\x1b[31mred", HTML, "bad [31mred"),
    ],
)
def test_the_first_words_of_a_page_are_plain_text(page: bytes, headers: dict[str, str], words: str) -> None:
    assert first_words(page, headers) == words


def test_long_pages_are_cut_at_a_word() -> None:
    words = first_words(b"word " * 1000, HTML)
    assert words == " ".join(["word"] * 39) + "\u2026"
    assert first_words(b"x" * 200, HTML) == "x" * 200


def test_a_refusal_says_its_status_its_price_and_its_first_words() -> None:
    assert said_of(404, {}, b"") == "HTTP status 404"
    assert said_of(402, HTML | {"crawler-price": "USD 0.01"}, b"<p>Pay</p>") == (
        "HTTP status 402, crawler-price USD 0.01: Pay"
    )


def test_a_page_that_repeats_a_secret_is_quoted_without_it() -> None:
    page = b"<p>Bearer abcd1234 is not valid; abcd1234 has expired</p>"
    assert first_words(page, HTML, ["Bearer abcd1234"]) == "[redacted] is not valid; [redacted] has expired"
    assert first_words(b"a is not b", HTML, ["a"]) == "a is not b"
    assert first_words(b"abc or abcd", HTML, ["abc", "Bearer abcd"]) == "abc or [redacted]"


@pytest.mark.parametrize(
    "said",
    [
        "me:p@ss word",
        "me:p%40ss%20word",
        "p@ss word",
        "Basic bWU6cEBzcyB3b3Jk",
        "proxy:pw-of-it",
        "cHJveHk6cHctb2YtaXQ=",
    ],
)
def test_a_page_that_repeats_who_was_sent_is_quoted_without_it(said: str) -> None:
    secrets = sent_secrets(
        ["Bearer 1234"], "http://me:p%40ss%20word@a.example/1.jpg", "http://proxy:pw-of-it@b.example"
    )
    words = said_of(403, HTML | {"crawler-price": said}, f"<p>You sent {said}".encode(), secrets)
    assert words.replace("Basic ", "") == "HTTP status 403, crawler-price [redacted]: You sent [redacted]"
    assert sent_secrets(["Bearer 1234"], "http://a.example/x:y@z", "") == ["Bearer 1234"]


@given(
    st.binary(max_size=200), st.sampled_from(["", "text/html", "text/html; charset=utf-16", "text/x; charset=utf-7"])
)
def test_no_page_breaks_the_quoting(page: bytes, content_type: str) -> None:
    words = first_words(page, {"content-type": content_type})
    assert words.isprintable()
    assert len(words) <= 200
    words.encode("utf-8")
