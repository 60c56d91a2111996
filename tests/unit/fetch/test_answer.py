from __future__ import annotations

import gzip
import zlib

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.answer import ERROR_PAGE_BYTES, declared_size_bytes, decoded, headers_of, kind_of_status

GZIP = {"content-encoding": "gzip"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (199, ErrorKind.HTTP_4XX),
        (200, None),
        (299, None),
        (300, ErrorKind.HTTP_4XX),
        (499, ErrorKind.HTTP_4XX),
        (600, ErrorKind.HTTP_4XX),
        (203, None),
        (204, ErrorKind.EMPTY),
        (205, ErrorKind.EMPTY),
        (206, ErrorKind.TRUNCATED),
        (304, ErrorKind.HTTP_4XX),
        (403, ErrorKind.HTTP_4XX),
        (429, ErrorKind.HTTP_429),
        (500, ErrorKind.HTTP_5XX),
        (599, ErrorKind.HTTP_5XX),
        (999, ErrorKind.HTTP_4XX),
    ],
)
def test_each_status_has_its_kind(status: int, kind: ErrorKind | None) -> None:
    assert kind_of_status(status) is kind


def test_header_names_are_lower_case_and_repeated_ones_are_joined() -> None:
    lines = [b"X-Robots-Tag: noai\r\n", b'ETag:"a:b"\r\n', b"x-robots-tag:  noindex \r\n", b"\r\n", b"nonsense\r\n"]
    assert headers_of(lines) == {"x-robots-tag": "noai, noindex", "etag": '"a:b"'}


@pytest.mark.parametrize(
    ("text", "size"), [("12", 12), ("", None), ("-1", None), ("1e3", None), ("12, 12", None), ("١٢", None)]
)
def test_only_a_plain_number_is_a_declared_size(text: str, size: int | None) -> None:
    assert declared_size_bytes({"content-length": text}) == size


def test_so_much_of_an_error_page_is_read() -> None:
    assert ERROR_PAGE_BYTES == 65536


def test_gzip_is_taken_off_in_whatever_case_it_is_named() -> None:
    assert decoded(gzip.compress(b"pixels"), {"content-encoding": "X-GZIP"}, max_bytes=6) == b"pixels"
    assert decoded(zlib.compress(b"pixels"), GZIP, max_bytes=6) == zlib.compress(b"pixels"), "it is not gzip"


def test_gzip_is_taken_off() -> None:
    assert decoded(gzip.compress(b"pixels"), GZIP, max_bytes=6) == b"pixels"


def test_a_body_that_is_not_or_not_wholly_gzip_stays_as_it_came() -> None:
    packed = gzip.compress(b"pixels" * 100)
    for body in (b"\xff\xd8 a picture", b"", packed[:-9], b"\x1f\x8bnonsense that is no gzip"):
        assert decoded(body, GZIP, max_bytes=10_000) == body
    assert decoded(packed, {}, max_bytes=10_000) == packed


def test_gzip_that_unpacks_to_more_than_is_allowed_stays_packed() -> None:
    bomb = gzip.compress(bytes(1_000_000))
    assert decoded(bomb, GZIP, max_bytes=999_999) == bomb
