"""Smaller versions of pictures: only where a host is known to serve them, and never one that is too small."""

from __future__ import annotations

import pytest

from ray_downloader.fetch.renditions import find_rendition
from ray_downloader.fetch.renditions.wikimedia import WIDTHS_PX

INAT = "https://inaturalist-open-data.s3.amazonaws.com/photos/1"
WIKI = "https://upload.wikimedia.org/wikipedia/commons"
FLICKR = "https://live.staticflickr.com/1/2_ab"
IIIF = "https://iiif.example.org/x%2Fy"


@pytest.mark.parametrize(
    ("url", "least_px", "found"),
    [
        (f"{INAT}/original.jpg", 448, f"{INAT}/medium.jpg"),
        (f"{INAT}/original.jpeg?1234", 448, f"{INAT}/medium.jpeg?1234"),
        (f"{INAT}/original.jpg", 501, f"{INAT}/large.jpg"),
        (f"{INAT}/original.jpg", 1025, None),
        (f"{INAT}/large.jpg", 100, f"{INAT}/thumb.jpg"),
        (f"{INAT}/medium.jpg", 448, None),
        (f"{INAT}/square.jpg", 10, None),
        ("https://static.inaturalist.org/photos/1/original.JPG", 448, "https://static.inaturalist.org/photos/1/medium.JPG"),
        ("https://other.example/photos/1/original.jpg", 448, None),
        (f"{IIIF}/full/full/0/default.jpg", 448, f"{IIIF}/full/!448,448/0/default.jpg"),
        (f"{IIIF}/full/max/0/default.jpg", 448, f"{IIIF}/full/!448,448/0/default.jpg"),
        (f"{IIIF}/full/1024,/0/default.jpg", 448, None),
        (f"{IIIF}/0,0,9,9/full/0/default.jpg", 448, None),
        (f"{IIIF}/full/full/90/default.jpg", 448, None),
        (f"{WIKI}/a/ab/A%20b.jpg", 448, f"{WIKI}/thumb/a/ab/A%20b.jpg/500px-A%20b.jpg"),
        (f"{WIKI}/thumb/a/ab/A.jpg/1280px-A.jpg", 448, f"{WIKI}/thumb/a/ab/A.jpg/500px-A.jpg"),
        (f"{WIKI}/thumb/a/ab/A.jpg/500px-A.jpg", 448, None),
        (f"{WIKI}/a/ab/A.svg", 448, None),
        (f"{WIKI}/a/ab/A.jpg", 4000, None),
        (
            "https://commons.wikimedia.org/wiki/Special:FilePath/A.jpg", 448,
            "https://commons.wikimedia.org/wiki/Special:FilePath/A.jpg?width=500",
        ),
        (f"{FLICKR}_b.jpg", 448, f"{FLICKR}.jpg"),
        (f"{FLICKR}_b.jpg", 501, f"{FLICKR}_z.jpg"),
        (f"{FLICKR}.jpg", 300, f"{FLICKR}_n.jpg"),
        (f"{FLICKR}.jpg", 448, None),
        (f"{FLICKR}_o.jpg", 448, None),
        (f"{FLICKR}_k.jpg", 448, None),
        ("https://farm6.staticflickr.com/1/2_ab_b.jpg", 448, "https://farm6.staticflickr.com/1/2_ab.jpg"),
        ("https://a.example/x.jpg", 448, None),
    ],
)  # fmt: skip
def test_the_smallest_version_that_is_large_enough(url: str, least_px: int, found: str | None) -> None:
    rendition = find_rendition(url, least_px)
    assert (rendition.url if rendition else None) == found


@pytest.mark.parametrize("least_px", [1, 20, 21, 448, 1000, 3840])
def test_only_widths_that_wikimedia_serves_are_requested(least_px: int) -> None:
    rendition = find_rendition(f"{WIKI}/a/ab/A.jpg", least_px)
    assert rendition is not None
    width = int(rendition.name.removeprefix("wikimedia ").removesuffix("px"))
    assert width in WIDTHS_PX
    assert width >= least_px
