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


#: As the hosts document them, from the smallest; a smaller one is asked for only below the size that the URL has.
SIZES = [
    (f"{FLICKR}_b.jpg", [(100, "t"), (240, "m"), (320, "n"), (400, "w"), (500, ""), (640, "z"), (800, "c")]),
    (f"{INAT}/original.jpg", [(100, "thumb"), (240, "small"), (500, "medium"), (1024, "large")]),
    (f"{WIKI}/a/ab/A.jpg", [(px, str(px)) for px in (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)]),
]


@pytest.mark.parametrize(("url", "sizes"), SIZES, ids=["flickr", "inaturalist", "wikimedia"])
def test_each_documented_size_is_enough_for_itself_and_no_pixel_more(url: str, sizes: list[tuple[int, str]]) -> None:
    names = []
    for px, _ in sizes:
        exact, larger = find_rendition(url, px), find_rendition(url, px + 1)
        assert exact is not None
        assert larger is None or larger.url != exact.url
        names.append(exact.name.split()[1].removesuffix("px"))
    assert names == [name or "500" for _, name in sizes]
    smallest = find_rendition(url, 1)
    assert smallest is not None
    assert smallest.name.split()[1].removesuffix("px") == sizes[0][1]


@pytest.mark.parametrize(
    ("url", "own_px"),
    [(f"{FLICKR}_b.jpg", 1024), (f"{FLICKR}.jpg", 500), (f"{INAT}/original.jpg", 2048), (f"{INAT}/medium.jpg", 500)],
)
def test_a_picture_that_has_the_size_itself_has_no_smaller_version(url: str, own_px: int) -> None:
    assert find_rendition(url, own_px) is None
    assert find_rendition(url, 90) is not None


@pytest.mark.parametrize("least_px", [1, 20, 21, 448, 1000, 3840])
def test_only_widths_that_wikimedia_serves_are_requested(least_px: int) -> None:
    rendition = find_rendition(f"{WIKI}/a/ab/A.jpg", least_px)
    assert rendition is not None
    width = int(rendition.name.removeprefix("wikimedia ").removesuffix("px"))
    assert width in WIDTHS_PX
    assert width >= least_px
