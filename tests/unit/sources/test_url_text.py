"""What looks like a URL, a number, or the name of a column."""

from __future__ import annotations

import pytest

from ray_downloader.sources.url_text import (
    continues_url,
    ends_as_image,
    is_known_name,
    is_number,
    is_url,
    may_be_name,
    names_image,
)


@pytest.mark.parametrize(
    "cell", ["http://a.org/1", "HTTPS://a.org", ' "http://a.org', "<https://a.org>", "«http://a", "//cdn.a.org/1"]
)
def test_a_url_may_be_in_quotes_or_brackets(cell: str) -> None:
    assert is_url(cell)


@pytest.mark.parametrize("cell", ["", "ftp://a.org/1", "a.org/1.jpg", "see http://a.org", "//comment", "httpx://a"])
def test_other_text_is_none(cell: str) -> None:
    assert not is_url(cell)


@pytest.mark.parametrize(
    ("cell", "names", "ends"),
    [
        ("http://a.org/1.jpg", True, True),
        ("http://a.org/1.JPEG ", True, True),
        ("http://a.org/1.png?size=2", True, False),
        ("http://a.org/1.tif#x", True, False),
        ("http://a.org/1.jpgs", False, False),
        ("http://a.org/jpg", False, False),
        ("http://a.org/view?file=1.jpg", True, False),
    ],
)
def test_a_picture_is_known_by_its_ending(cell: str, names: bool, ends: bool) -> None:
    assert (names_image(cell), ends_as_image(cell)) == (names, ends)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("12", True),
        ("-1.5", True),
        ("1,000", True),
        ('"3"', True),
        ("1e-5", True),
        ("1a", False),
        ("", False),
        ("1.2.3", True),
    ],
)
def test_numbers(cell: str, expected: bool) -> None:
    assert is_number(cell) is expected


@pytest.mark.parametrize("cell", ["url", "Image URL", "my column", "http://rs.tdwg.org/dwc/terms/license", "größe"])
def test_what_may_be_the_name_of_a_column(cell: str) -> None:
    assert may_be_name(cell)


@pytest.mark.parametrize(
    "cell",
    ["", "NA", "null", "12", "photo.jpg", "http://a.org/1", "s3://bucket/1", "/data/1", "./x", "www.a.org", "a.org/1",
     "me@a.org", "doi:10.1/x", "x" * 81],
)  # fmt: skip
def test_what_is_a_value(cell: str) -> None:
    assert not may_be_name(cell)


def test_known_names_are_those_of_lists() -> None:
    assert is_known_name("ac:accessURI") and is_known_name("Licence")
    assert not is_known_name("my column")


@pytest.mark.parametrize(
    ("url", "following", "expected"),
    [
        ("http://a.org/u=179", "175&fm=15", True),
        ("http://a.org/x", "y/2.jpg", True),
        ("http://a.org/x", "plain", False),
        ("http://a.org/x", "two words&x=1", False),
        ("http://a.org/1.jpg", "175&fm=15", False),
        ("http://a.org/x", "http://b.org/y=1", False),
        ("text", "175&fm=15", False),
    ],
)
def test_a_cell_may_be_the_rest_of_the_url_before_it(url: str, following: str, expected: bool) -> None:
    assert continues_url(url, following) is expected
