"""What a download adds to its row."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from ray_downloader.fetch.base import FetchResult
from ray_downloader.fetch.renditions.model import Rendition
from ray_downloader.image import ImageOptions, process
from ray_downloader.worker.image_record import image_record, is_complete
from tests.support.stored import md5, received

BODY = received(1)


def record_of(headers: dict[str, str], **row: Any) -> Any:
    made = process(BODY, ImageOptions(image_size=64, encode="png"))
    at = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    values = {"attempt": 3, "route": None, "url": "http://a.org/a.jpg", "rendition": None, **row}
    return image_record(SimpleNamespace(**values), FetchResult(1, None, 200, headers), made, at), made, at  # type: ignore[arg-type]  # the part of a row that is read


def test_a_record_has_both_hashes_and_sizes_and_what_the_server_said() -> None:
    record, made, at = record_of({"etag": '"x"', "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"})
    assert (record.hashsum_original, record.hashsum_resized) == (md5(BODY), md5(made.image))
    assert (record.original_size, record.resized_size) == ((90, 120), (48, 64))
    assert (record.image, record.image_format, record.original_format) == (made.image, "png", "jpeg")
    assert (record.etag, record.last_modified) == ('"x"', "Thu, 01 Jan 2026 00:00:00 GMT")
    assert (record.retry_count, record.final_url, record.fetched_at) == (2, "http://a.org/a.jpg", at)
    assert record.extra == made.extra


def test_the_last_url_of_a_redirect_is_the_final_one_and_absent_headers_are_null() -> None:
    record, _, _ = record_of({}, attempt=1, route=SimpleNamespace(url="http://b.org/b.jpg"))
    assert (record.final_url, record.retry_count) == ("http://b.org/b.jpg", 0)
    assert (record.etag, record.last_modified) == (None, None)


@pytest.mark.parametrize(
    ("headers", "version", "is_whole"),
    [
        ({"content-length": "3"}, "1.1", True),
        ({"transfer-encoding": "chunked"}, "1.1", True),
        ({}, "1.1", False),
        ({}, "1.0", False),
        ({}, None, False),
        ({}, "2", True),
        ({}, "3", True),
    ],
)
def test_a_body_is_whole_where_something_marks_its_end(
    headers: dict[str, str], version: str | None, is_whole: bool
) -> None:
    assert is_complete(FetchResult(1, None, 200, headers, http_version=version)) is is_whole


@pytest.mark.parametrize(
    ("url", "expected"),
    [("http://a.org/small.jpg", ("small", "http://a.org/small.jpg")), ("http://a.org/a.jpg", (None, None))],
    ids=["fetched", "gone, so the original was"],
)
def test_a_rendition_is_named_only_if_it_is_what_was_fetched(url: str, expected: tuple[str | None, str | None]) -> None:
    record, _, _ = record_of({}, url=url, rendition=Rendition("small", "http://a.org/small.jpg"))
    assert (record.rendition, record.requested_url) == expected


def test_without_a_rendition_none_is_named() -> None:
    record, _, _ = record_of({})
    assert (record.rendition, record.requested_url) == (None, None)


def test_a_password_in_a_url_is_not_recorded() -> None:
    record, _, _ = record_of({}, url="http://me:secret@a.org/a.jpg")
    assert record.final_url == "http://a.org/a.jpg"
