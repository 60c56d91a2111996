"""The contact sheet shows what may be passed on."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest

from ray_downloader.image.header import read_header
from ray_downloader.report.pictures import Pictures, contact_sheet
from ray_downloader.run_folder.layout import SUCCESSES, RunLayout
from tests.support.reported import Listed, reported_run

LICENSES = {
    "cc0": "http://creativecommons.org/publicdomain/zero/1.0/",
    "by": "CC BY 4.0",
    "nd": "CC BY-ND 4.0",
    "reserved": "© All rights reserved",
    "none": "",
}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> RunLayout:
    rows = [
        Listed(f"http://u:p@a.example/{name}.jpg", listed={"license": text, "title": name})
        for name, text in LICENSES.items()
    ]
    damaged = Listed("http://a.example/damaged.jpg", columns={"image": b"\xff\xd8 no"}, listed={"license": "cc0"})
    return reported_run(tmp_path_factory.mktemp("run"), [*rows, damaged])


def titles(layout: RunLayout, which: Pictures) -> set[str]:
    files = sorted(layout.images.rglob(SUCCESSES))
    return {each.title for each in contact_sheet(files, which, random.Random(1))}


def test_only_licences_that_allow_it_are_shown(layout: RunLayout) -> None:
    assert titles(layout, Pictures.OPEN) == {"cc0", "by"}


def test_all_and_none_are_the_users_choice(layout: RunLayout) -> None:
    assert titles(layout, Pictures.ALL) == set(LICENSES)
    assert titles(layout, Pictures.NONE) == set()


def test_a_thumbnail_is_a_small_jpeg_with_its_origin(layout: RunLayout) -> None:
    for each in contact_sheet(sorted(layout.images.rglob(SUCCESSES)), Pictures.OPEN, random.Random(1)):
        head, _, data = each.source.partition(",")
        assert head == "data:image/jpeg;base64"
        assert read_header(base64.b64decode(data)).image_format == "jpeg"
        assert len(data) < 12_000
        assert each.url.startswith("http://a.example/")
        assert each.license in {"cc0", "cc-by"}


def test_a_run_without_images_has_no_sheet(tmp_path: Path) -> None:
    assert contact_sheet([], Pictures.ALL, random.Random(1)) == []
