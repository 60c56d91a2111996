"""Which rows are still images, whatever publishers write into `type` and `format`."""

from __future__ import annotations

import duckdb
import pytest

from ray_downloader.sources.still_images import has_other_ending_sql, is_still_image_sql


def _ask(type_: str | None, format_: str | None) -> object:
    rows: list[tuple[object]] = duckdb.execute(
        f"SELECT {is_still_image_sql('NULL')} FROM (SELECT ?::VARCHAR AS type, ?::VARCHAR AS format)", [type_, format_]
    ).fetchall()  # not one: the connection is everybody's
    return rows[0][0]


@pytest.mark.parametrize(
    ("type_", "format_", "is_image"),
    [
        ("StillImage", "image/jpeg", True),
        ("StillImage", None, True),
        ("StillImage", "text/html", True),
        ("Still Image", "JPG", True),
        ("still_image", None, True),
        ("http://purl.org/dc/dcmitype/StillImage", None, True),
        ("dcmitype:StillImage", None, True),
        ("image/jpeg", "StillImage", True),  # swapped
        ("image/jpeg", None, True),
        ("Image", None, True),
        ("image", "image/png", True),
        ("Photograph", "image/jpeg", True),
        ("Photograph", None, True),
        ("Digital photograph", None, True),
        ("Specimen", "image/jpeg", True),
        (None, "image/tiff", True),
        (None, ".jpeg", True),
        (None, "IMAGE", True),
        ("StillImage", "application/json", False),  # an IIIF manifest
        ("StillImage", "application/ld+json;profile=x", False),
        ("MovingImage", "image/jpeg", False),
        ("Moving Image", None, False),
        ("http://purl.org/dc/dcmitype/MovingImage", None, False),
        ("Sound", "image/png", False),
        ("audio/mpeg", "Sound", False),
        ("Video", None, False),
        ("PhysicalObject", None, False),
        ("InteractiveResource", "text/html", False),
        (None, "audio/mpeg", False),
        (None, "video/mp4", False),
        (None, "text/html", False),
        (None, "mp3", False),
        ("Specimen", None, None),
        (None, None, None),
    ],
)
def test_a_row_is_a_still_image(type_: str | None, format_: str | None, is_image: bool | None) -> None:
    assert _ask(type_, format_) is is_image


@pytest.mark.parametrize(
    ("url", "is_other"),
    [
        ("http://a.example/x.MP3", True),
        ("http://a.example/x.mp4?size=1.jpg", True),
        ("http://a.example/x.json#y", True),
        ("http://a.example/x.jpg?from=x.mp3", False),
        ("http://a.example/mp3", False),
    ],
)
def test_the_ending_of_a_url_speaks_for_other_media(url: str, is_other: bool) -> None:
    rows = duckdb.execute(f"SELECT {has_other_ending_sql('url')} FROM (SELECT ? AS url)", [url]).fetchall()
    assert rows == [(is_other,)]
