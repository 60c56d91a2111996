"""Smaller versions are requested first where that is wished, and the listed URL where they cannot be had."""

from __future__ import annotations

from pathlib import Path

from ray_downloader.config.settings import Settings
from ray_downloader.fetch.base import FetchRequest
from ray_downloader.fetch.fake import Reply
from ray_downloader.run_folder.layout import SUCCESSES
from tests.unit.worker.worker_run import Run, found, picture

BASE = "https://inaturalist-open-data.s3.amazonaws.com/photos"
URLS = [f"{BASE}/{number}/original.jpg" for number in (1, 2)] + ["http://a.example/1.jpg"]
AUTO = {"image": {"renditions": "auto"}}


def _second_has_no_medium(request: FetchRequest) -> Reply:
    return Reply(status=404) if request.url == f"{BASE}/2/medium.jpg" else found(request)


def test_the_smallest_version_is_requested_and_named(tmp_path: Path) -> None:
    run = Run(tmp_path, URLS, _second_has_no_medium, groups=AUTO)
    run.slice()
    assert set(run.asked()) == {f"{BASE}/1/medium.jpg", f"{BASE}/2/medium.jpg", URLS[1], URLS[2]}
    columns = ("identifier", "final_url", "rendition", "requested_url")
    rows = sorted(zip(*(run.read(SUCCESSES, name) for name in columns), strict=True))
    assert rows == sorted(
        [
            (URLS[0], f"{BASE}/1/medium.jpg", "inaturalist medium", f"{BASE}/1/medium.jpg"),
            (URLS[1], URLS[1], None, None),
            (URLS[2], URLS[2], None, None),
        ]
    )


def test_what_smaller_versions_had_is_reported_by_server(tmp_path: Path) -> None:
    run = Run(tmp_path, URLS, _second_has_no_medium, groups=AUTO)
    run.slice()
    server = "inaturalist-open-data.s3.amazonaws.com"
    assert run.host.progress_news(None).progress.renditions == {server: 1}
    assert run.host.progress_news(None).progress.rendition_bytes == {server: len(picture())}


def test_listed_urls_are_requested_by_default_and_where_the_list_has_a_checksum(tmp_path: Path) -> None:
    run = Run(tmp_path / "off", URLS)
    run.slice()
    assert set(run.asked()) == set(URLS)
    groups = {**AUTO, "dataset": {"columns": {"md5": "m"}}}
    run = Run(tmp_path / "md5", ["url,m", f"{URLS[0]},{'0' * 32}"], groups=groups)
    run.slice()
    assert set(run.asked()) == {URLS[0]}


def test_what_is_stored_as_it_came_is_requested_as_it_is_listed(tmp_path: Path) -> None:
    run = Run(tmp_path, URLS, groups={"image": {"renditions": "auto", "encode": "original"}})
    run.slice()
    assert set(run.asked()) == set(URLS)


def test_off_is_a_word_also_in_yaml() -> None:
    config = {"path_to_input": "a", "path_to_output": "b", "image": {"renditions": False}}
    assert Settings.from_config(config).image.renditions == "off"
