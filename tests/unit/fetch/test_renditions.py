"""Smaller versions of pictures: only where a host is known to serve them, and never one that is too small."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ray_downloader.fetch.renditions import find_rendition, iiif_by_info
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
        (
            "https://s3.us-east-1.amazonaws.com/inaturalist-open-data/photos/1/original.png", 448,
            "https://s3.us-east-1.amazonaws.com/inaturalist-open-data/photos/1/medium.png",
        ),
        ("https://other.example/photos/1/original.jpg", 448, None),
        (f"{IIIF}/full/full/0/default.jpg", 448, f"{IIIF}/full/!448,448/0/default.jpg"),
        (f"{IIIF}/full/max/0/default.jpg", 448, f"{IIIF}/full/!448,448/0/default.jpg"),
        (f"{IIIF}/full/1024,/0/default.jpg", 448, f"{IIIF}/full/!448,448/0/default.jpg"),
        (f"{IIIF}/full/,1024/0/default.jpg", 448, f"{IIIF}/full/!448,448/0/default.jpg"),
        (f"{IIIF}/full/448,/0/default.jpg", 448, None),
        (f"{IIIF}/full/!1024,1024/0/default.jpg", 448, f"{IIIF}/full/!448,448/0/default.jpg"),
        (f"{IIIF}/full/!1024,448/0/default.jpg", 448, None),
        (f"{IIIF}/full/1000,500/0/default.jpg", 448, f"{IIIF}/full/448,224/0/default.jpg"),
        (f"{IIIF}/full/448,100/0/default.jpg", 448, None),
        (f"{IIIF}/full/9000,1/0/default.jpg", 448, f"{IIIF}/full/448,1/0/default.jpg"),
        (f"{IIIF}/full/pct:50/0/default.jpg", 448, None),
        (f"{IIIF}/full/^max/0/default.jpg", 448, None),
        (f"{IIIF}/0,0,9,9/full/0/default.jpg", 448, None),
        (f"{IIIF}/7,7,900,9/max/0/default.jpg", 448, f"{IIIF}/7,7,900,9/!448,448/0/default.jpg"),
        (f"{IIIF}/square/max/0/default.jpg", 448, f"{IIIF}/square/!448,448/0/default.jpg"),
        (f"{IIIF}/pct:0,0,50,50/max/0/gray.png", 448, f"{IIIF}/pct:0,0,50,50/!448,448/0/gray.png"),
        (f"{IIIF}/full/full/90/default.JPG?key=1", 448, f"{IIIF}/full/!448,448/90/default.JPG?key=1"),
        (f"{IIIF}/full/full/!0/bitonal.jpg", 448, f"{IIIF}/full/!448,448/!0/bitonal.jpg"),
        (f"{IIIF}/full/full/45/default.jpg", 448, None),
        (f"{IIIF}/info.json", 448, None),
        (f"{IIIF}/full/max/0/default.jpg#xywh=1,2,3,4", 448, f"{IIIF}/full/!448,448/0/default.jpg"),
        (f"{WIKI}/a/ab/A%20b.jpg", 448, f"{WIKI}/thumb/a/ab/A%20b.jpg/500px-A%20b.jpg"),
        (f"{WIKI}/thumb/a/ab/A.jpg/1280px-A.jpg", 448, f"{WIKI}/thumb/a/ab/A.jpg/500px-A.jpg"),
        (f"{WIKI}/thumb/a/ab/A.jpg/500px-A.jpg", 448, None),
        (f"{WIKI}/thumb/a/ab/A.jpg/400px-A.jpg", 448, f"{WIKI}/thumb/a/ab/A.jpg/500px-A.jpg"),
        (f"{WIKI}/thumb/a/ab/A.jpg/1200px-A.jpg", 448, f"{WIKI}/thumb/a/ab/A.jpg/500px-A.jpg"),
        (f"{WIKI}/thumb/a/ab/A.jpg/330px-A.jpg", 448, None),
        (
            f"{WIKI}/thumb/a/ab/A.tif/lossy-page1-1280px-A.tif.jpg", 448,
            f"{WIKI}/thumb/a/ab/A.tif/lossy-page1-500px-A.tif.jpg",
        ),
        (f"{WIKI}/a/ab/A.TIFF", 448, f"{WIKI}/thumb/a/ab/A.TIFF/lossy-page1-500px-A.TIFF.jpg"),
        (f"{WIKI}/a/ab/A.webp", 448, f"{WIKI}/thumb/a/ab/A.webp/500px-A.webp.png"),
        (f"{WIKI}/a/ab/A.JPG?utm_source=commons", 448, f"{WIKI}/thumb/a/ab/A.JPG/500px-A.JPG"),
        (f"{WIKI}/archive/a/ab/20200101!A.jpg", 448, None),
        (f"{WIKI}/a/ab/A.svg", 448, f"{WIKI}/thumb/a/ab/A.svg/500px-A.svg.png"),
        (f"{WIKI}/a/ab/A.gif#top", 448, f"{WIKI}/thumb/a/ab/A.gif/500px-A.gif"),
        (f"{WIKI}/a/ab/A.pdf", 448, None),
        (f"{WIKI}/a/ab/{'A' * 156}.jpg", 448, f"{WIKI}/thumb/a/ab/{'A' * 156}.jpg/500px-{'A' * 156}.jpg"),
        (f"{WIKI}/a/ab/{'A' * 157}.JPG", 448, f"{WIKI}/thumb/a/ab/{'A' * 157}.JPG/500px-thumbnail.jpg"),
        (f"{WIKI}/a/ab/{'%C3%84' * 79}.jpg", 448, f"{WIKI}/thumb/a/ab/{'%C3%84' * 79}.jpg/500px-thumbnail.jpg"),
        (
            f"{WIKI}/a/ab/{'A' * 157}.TIF", 448,
            f"{WIKI}/thumb/a/ab/{'A' * 157}.TIF/lossy-page1-500px-thumbnail.tif.jpg",
        ),
        (
            f"{WIKI}/thumb/a/ab/A.svg/langde-1280px-A.svg.png", 448,
            f"{WIKI}/thumb/a/ab/A.svg/langde-500px-A.svg.png",
        ),
        (
            f"{WIKI}/thumb/a/ab/2-960px-A.jpg/1280px-2-960px-A.jpg", 448,
            f"{WIKI}/thumb/a/ab/2-960px-A.jpg/500px-2-960px-A.jpg",
        ),
        (
            "https://upload.wikimedia.org/wikisource/mul/a/ab/A.jpg", 448,
            "https://upload.wikimedia.org/wikisource/mul/thumb/a/ab/A.jpg/500px-A.jpg",
        ),
        (f"{WIKI}/a/ab/A.jpg", 4000, None),
        (
            "https://commons.wikimedia.org/wiki/Special:FilePath/A.jpg", 448,
            "https://commons.wikimedia.org/wiki/Special:FilePath/A.jpg?width=500",
        ),
        (
            "http://commons.wikimedia.org/wiki/Special%3AFilePath/A%20b.jpg?width=2000", 448,
            "http://commons.wikimedia.org/wiki/Special%3AFilePath/A%20b.jpg?width=500",
        ),
        ("https://commons.wikimedia.org/wiki/Special:FilePath/A.jpg?width=500", 448, None),
        (
            "https://en.wikipedia.org/wiki/Special:Redirect/file/A.jpg?width=450px", 448,
            "https://en.wikipedia.org/wiki/Special:Redirect/file/A.jpg?width=500",
        ),
        (f"{FLICKR}_b_d.jpg?zz=1", 448, f"{FLICKR}_d.jpg?zz=1"),
        ("http://static.flickr.com/1/2_ab_b.jpg", 448, "http://static.flickr.com/1/2_ab.jpg"),
        ("http://farm1.static.flickr.com/1/2_ab_z.jpg", 448, "http://farm1.static.flickr.com/1/2_ab.jpg"),
        ("https://c1.staticflickr.com/9/1/2_ab_c.jpg", 448, "https://c1.staticflickr.com/9/1/2_ab.jpg"),
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


@pytest.mark.parametrize(
    ("url", "shrinks_by"),
    [
        (f"{INAT}/original.jpg", 2048 / 500),
        (f"{FLICKR}_b.jpg", 1024 / 500),
        (f"{WIKI}/thumb/a/ab/A.jpg/1280px-A.jpg", 1280 / 500),
        ("https://commons.wikimedia.org/wiki/Special:FilePath/A.jpg?width=2000", 4.0),
        (f"{WIKI}/a/ab/A.jpg", 0.0),
        ("https://commons.wikimedia.org/wiki/Special:FilePath/A.jpg", 0.0),
        (f"{IIIF}/full/full/0/default.jpg", 0.0),
    ],
)
def test_names_say_how_much_smaller_a_version_is(url: str, shrinks_by: float) -> None:
    found = find_rendition(url, 448)
    assert found is not None and found.shrinks_by == shrinks_by


@pytest.mark.parametrize("least_px", [1, 20, 21, 448, 1000, 3840])
def test_only_widths_that_wikimedia_serves_are_requested(least_px: int) -> None:
    rendition = find_rendition(f"{WIKI}/a/ab/A.jpg", least_px)
    assert rendition is not None
    width = int(rendition.name.removeprefix("wikimedia ").removesuffix("px"))
    assert width in WIDTHS_PX
    assert width >= least_px


V2 = {"@context": "http://iiif.io/api/image/2/context.json", "width": 4000, "height": 3000}
V3 = {"@context": "http://iiif.io/api/image/3/context.json", "width": 3000, "height": 4000}
SIZES = {"sizes": [{"width": 2000, "height": 1500}, {"width": 500, "height": 375}, {"width": 250, "height": 188}]}
LEVEL = "http://iiif.io/api/image/2/level{}.json"


@pytest.mark.parametrize(
    ("info", "size"),
    [
        ({**V2, **SIZES, "profile": LEVEL.format(0)}, "500,"),
        ({**V3, **SIZES, "profile": "level0"}, "500,375"),
        ({**V2, "profile": [LEVEL.format(0)]}, None),
        ({**V2, "sizes": [{"width": 250, "height": 188}], "profile": LEVEL.format(0)}, None),
        ({**V2, "sizes": [{"width": 4000, "height": 3000}], "profile": LEVEL.format(0)}, None),
        ({**V2, "profile": [LEVEL.format(1)]}, "448,"),
        ({**V3, "profile": "level1"}, "336,"),
        ({**V2, "profile": "http://library.stanford.edu/iiif/image-api/1.1/compliance.html#level1"}, "448,"),
        ({**V2, **SIZES, "profile": [LEVEL.format(2)]}, "500,"),
        ({**V2, "sizes": SIZES["sizes"][:1], "profile": [LEVEL.format(2)]}, "448,"),
        ({**V2}, "448,"),
        ({**V2, "profile": [LEVEL.format(2), {"maxWidth": 400}]}, "max"),
        ({**V2, "profile": [LEVEL.format(2), {"maxWidth": 448, "maxHeight": 336}]}, "448,"),
        ({**V2, "profile": [LEVEL.format(2), {"maxWidth": 448, "maxHeight": 335}]}, "max"),
        ({**V3, "profile": "level2", "maxArea": 448 * 336}, "336,"),
        ({**V3, "profile": "level2", "maxArea": 448 * 336 - 1}, "max"),
        ({**V3, "profile": "level2", "maxWidth": 400}, "max"),
        ({**V2, "width": 448, "height": 100}, None),
        ({**V2, "width": 449, "height": 1}, "448,"),
        ({"profile": "level2"}, None),
        ({**V2, "width": "4000"}, None),
        ({**V2, "sizes": "many", "profile": {"a": 1}}, "448,"),
        ({**V2, "sizes": [7, {"width": 0, "height": 9}], "profile": LEVEL.format(0)}, None),
        ([], None),
        (None, None),
    ],
)
def test_info_json_says_which_size_to_request(info: Any, size: str | None) -> None:
    found = iiif_by_info(f"{IIIF}/full/full/0/default.jpg?key=1", json.dumps(info).encode(), 448)
    expected = f"{IIIF}/full/{size}/0/default.jpg?key=1" if size else None
    assert (found.url if found else None) == expected
    assert found is None or (found.name, found.sizes_url) == (f"iiif {size}", "")
    width = (size or "").partition(",")[0]
    assert found is None or found.shrinks_by == (info["width"] / int(width) if width != "max" else 0.0)


@pytest.mark.parametrize("document", [b"", b"<html>", b"\xff", b"[" * 10**5])
def test_what_is_no_info_json_names_no_size(document: bytes) -> None:
    assert iiif_by_info(f"{IIIF}/full/full/0/default.jpg", document, 448) is None


def test_the_listed_size_is_no_other_version() -> None:
    info = json.dumps({**V3, "profile": "level2", "maxWidth": 300}).encode()
    assert iiif_by_info(f"{IIIF}/full/max/0/default.jpg", info, 448) is None


def test_only_of_a_whole_picture_the_info_json_has_the_sizes() -> None:
    whole, part = (find_rendition(f"{IIIF}/{region}/max/0/default.jpg", 448) for region in ("full", "0,0,900,900"))
    assert whole is not None and part is not None
    assert (whole.sizes_url, part.sizes_url) == (f"{IIIF}/info.json", "")
