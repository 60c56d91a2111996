"""Smaller versions are requested first where that is wished, and the listed URL where they cannot be had."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from ray_downloader.config.settings import Settings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.answer import kind_of_status
from ray_downloader.fetch.base import FetchRequest
from ray_downloader.fetch.fake import Reply
from ray_downloader.run_folder.layout import SUCCESSES
from ray_downloader.worker.renditions import REFUSED_AFTER, Renditions
from ray_downloader.worker.row import Row
from tests.support.rows import a_row
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


def test_about_how_many_bytes_a_version_saved_is_known_by_the_names_of_both(tmp_path: Path) -> None:
    run = Run(tmp_path, URLS[:2], lambda request: _of_sides(500 if "/1/" in request.url else 300, 100), groups=AUTO)
    run.slice()
    progress = run.host.progress_news(None).progress
    assert list(progress.renditions_sized.values()) == [2]
    of_first = len(_of_sides(500, 100).body)
    assert list(progress.rendition_bytes_saved.values()) == [round(of_first * 4.096**2) - of_first], "one was as small"


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


SERVICE = "http://museum.example/iiif"
PICTURES = [f"{SERVICE}/{number}/full/full/0/default.jpg" for number in range(20)]
INFO = {
    "@context": "http://iiif.io/api/image/2/context.json", "width": 4000, "height": 3000,
    "profile": ["http://iiif.io/api/image/2/level0.json"], "sizes": [{"width": 1000, "height": 750}],
}  # fmt: skip


SLOW = {"politeness": {"robots": "ignore", "max_rate_limit": 2.0, "adaptive": False, "max_connections": 1}}


def _answering(size: str, refusal: int, info: bytes | None) -> Callable[[FetchRequest], Reply]:
    """A server that has one size besides whole pictures, and perhaps says so."""

    def answer(request: FetchRequest) -> Reply:
        if request.url.endswith("/info.json"):
            return Reply(status=404) if info is None else Reply(body=info, headers={"content-length": str(len(info))})
        is_there = f"/full/{size}/" in request.url or "/full/full/" in request.url
        return found(request) if is_there else Reply(status=refusal)

    return answer


@pytest.mark.parametrize("refusal", [400, 404, 501])
def test_where_a_size_is_refused_the_info_json_names_others(tmp_path: Path, refusal: int) -> None:
    script = _answering("1000,", refusal, json.dumps(INFO).encode())
    run = Run(tmp_path, PICTURES, script, groups={**AUTO, **SLOW})
    run.slice()
    assert set(run.read(SUCCESSES, "rendition")) == {"iiif 1000,"}
    assert set(run.read(SUCCESSES, "requested_url")) == {url.replace("full/full", "full/1000,") for url in PICTURES}
    asked = run.asked()
    assert max(asked.values()) == 1
    assert not [url for url in asked if "full/full" in url], "no listed picture"
    assert sum("!448,448" in url for url in asked) < len(PICTURES) / 2, "once it is known, none is asked for in vain"


@pytest.mark.parametrize("info", [None, b"{}", b"<html>", picture()], ids=["missing", "empty", "page", "picture"])
def test_where_no_size_is_known_the_listed_pictures_are_requested_and_soon_nothing_else(
    tmp_path: Path, info: bytes | None
) -> None:
    run = Run(tmp_path, PICTURES, _answering("none", 404, info), groups={**AUTO, **SLOW})
    run.slice()
    assert sorted(run.read(SUCCESSES, "final_url")) == sorted(PICTURES)
    assert set(run.read(SUCCESSES, "rendition")) == {None}
    assert len(run.asked()) < 2 * len(PICTURES), "each three times, as long as it is not known"


def test_a_server_without_versions_is_asked_for_few_of_them(tmp_path: Path) -> None:
    def only_originals(request: FetchRequest) -> Reply:
        return found(request) if "original" in request.url else Reply(status=404)

    urls = [f"{BASE}/{number}/original.jpg" for number in range(40)]
    run = Run(tmp_path, urls, only_originals, groups={**AUTO, **SLOW})
    run.slice()
    assert sorted(run.read(SUCCESSES, "final_url")) == sorted(urls)
    vain = sum("medium" in url for url in run.asked())
    assert REFUSED_AFTER <= vain < len(urls) / 2


@pytest.mark.parametrize(
    "refusal",
    [
        *(Reply(kind_of_status(status, {}), status, after_s=0.05) for status in (403, 410, 429, 500, 503)),
        Reply(kind_of_status(503, {}), 503, headers={"retry-after": "5"}),
        *(Reply(kind, None, after_s=0.05) for kind in (ErrorKind.TIMEOUT, ErrorKind.RESET)),
        Reply(body=b"<html>"),
    ],
    ids=["403", "410", "429", "500", "503", "503 later", "timeout", "reset", "page"],
)
@pytest.mark.parametrize("scheme", ["iiif", "inaturalist"])
def test_that_a_server_fails_for_versions_is_not_held_against_its_listed_pictures(
    tmp_path: Path, refusal: Reply, scheme: str
) -> None:
    urls = PICTURES if scheme == "iiif" else [f"{BASE}/{number}/original.jpg" for number in range(20)]
    run = Run(tmp_path, urls, lambda request: found(request) if request.url in urls else refusal, groups=AUTO)
    run.slice()
    assert sorted(run.read(SUCCESSES, "final_url")) == sorted(urls)
    assert len(run.asked()) < 2 * len(urls), "it is soon known"


def test_a_version_that_redirects_to_a_server_out_of_reach_is_not_waited_for(tmp_path: Path) -> None:
    def answer(request: FetchRequest) -> Reply:
        if "medium" in request.url:
            return Reply(status=302, redirect_url="http://gone.example/x.jpg")
        return Reply(ErrorKind.CONNECT, None) if "gone" in request.url else found(request)

    run = Run(tmp_path, URLS[:2], answer, groups=AUTO)
    run.slice()
    assert sorted(run.read(SUCCESSES, "final_url")) == URLS[:2]


def test_a_version_is_tried_again_where_others_are_served_or_the_server_is_down(tmp_path: Path) -> None:
    failed: set[str] = set()

    def second_time(kind: ErrorKind, status: int | None) -> Callable[[FetchRequest], Reply]:
        def answer(request: FetchRequest) -> Reply:
            if "/1/medium" in request.url and request.url not in failed:
                failed.add(request.url)
                return Reply(kind, status, after_s=1.0)
            return found(request)

        return answer

    for kind, status in ((ErrorKind.HTTP_5XX, 500), (ErrorKind.CONNECT, None)):
        failed.clear()
        run = Run(tmp_path / str(kind), URLS[:2], second_time(kind, status), groups=AUTO)
        run.slice()
        assert run.read(SUCCESSES, "rendition") == ["inaturalist medium"] * 2


def test_a_row_without_a_checksum_has_its_version_beside_rows_that_have_one(tmp_path: Path) -> None:
    groups = {**AUTO, "dataset": {"columns": {"md5": "m"}}}
    run = Run(tmp_path, ["url,m", f"{URLS[0]},{'0' * 32}", f"{URLS[1]},"], groups=groups)
    run.slice()
    assert set(run.asked()) == {URLS[0], f"{BASE}/2/medium.jpg"}


def _of_sides(width: int, height: int) -> Reply:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "green").save(file, "JPEG")
    return Reply(body=file.getvalue(), headers={"content-length": str(len(file.getvalue()))})


@pytest.mark.parametrize("resize", ["keep_ratio_shortest", "center_crop"])
def test_where_the_shorter_side_counts_a_version_is_large_enough_for_it(tmp_path: Path, resize: str) -> None:
    def answer(request: FetchRequest) -> Reply:
        longer = 2048 if "original" in request.url else 1024
        return _of_sides(longer, longer * 3 // 4) if "/1/" in request.url else _of_sides(longer, longer // 8)

    image = {"renditions": "auto", "resize": resize, "min_size": 100}
    run = Run(tmp_path, URLS[:2], answer, groups={"image": image})
    run.slice()
    assert set(run.asked()) == {f"{BASE}/1/large.jpg", f"{BASE}/2/large.jpg", URLS[1]}
    sizes = dict(zip(run.read(SUCCESSES, "final_url"), run.read(SUCCESSES, "resized_size"), strict=True))
    assert all(min(size) == 224 for size in sizes.values()) and len(sizes) == 2


def test_a_version_has_at_least_the_size_that_pictures_must_have(tmp_path: Path) -> None:
    groups = {"image": {"renditions": "auto", "min_size": 600}}
    run = Run(tmp_path, URLS[:1], lambda _: _of_sides(1024, 700), groups=groups)
    run.slice()
    assert run.read(SUCCESSES, "rendition") == ["inaturalist large"]


def test_what_was_learned_about_a_row_travels_with_it_to_other_tasks(tmp_path: Path) -> None:
    answer = _answering("1000,", 404, json.dumps(INFO).encode())
    run = Run(tmp_path, PICTURES[:2], lambda request: replace(answer(request), after_s=1.0), groups=AUTO)
    tasks = 0
    while run.work and tasks < 10:
        run.slice(0.5, f"task {tasks}")
        tasks += 1
    assert tasks > 2, "a request a task"
    assert run.read(SUCCESSES, "rendition") == ["iiif 1000,"] * 2
    assert max(run.asked().values()) == 1
    assert len(run.asked()) == 6


# -- what a task has learned about a server --------------------------------------------------------------------------


def _rows(count: int) -> list[Row]:
    return [a_row(url, number) for number, url in enumerate(PICTURES[:count])]


def _learned(direct: int = 0, sizes: int = 0) -> Renditions:
    """What is known after so many rows were refused a version, and so many a version and its document."""
    renditions = Renditions(448)
    for number, row in enumerate(_rows(direct + sizes)):
        renditions.choose(row)
        row.has_asked_sizes = number >= direct
        row.url = row.identifier
        renditions.note_stored(row)
    return renditions


def _chosen(renditions: Renditions) -> Row:
    row = a_row(PICTURES[19])
    renditions.choose(row)
    return row


def test_a_row_begins_with_a_version_and_keeps_the_listed_picture_behind_it() -> None:
    row = _chosen(Renditions(448))
    assert row.asks_for_version and not row.has_asked_sizes
    assert row.rendition is not None and row.rendition.sizes_url == f"{SERVICE}/19/info.json"
    assert row.mirrors == [row.identifier]


def test_without_a_wish_or_with_a_checksum_or_of_an_unknown_site_nothing_is_chosen() -> None:
    assert _chosen(Renditions(0)).rendition is None
    row = a_row(PICTURES[0])
    row.listed = (None,)  # type: ignore[assignment] # any stands for a listed checksum
    Renditions(448).choose(row)
    assert row.rendition is None
    row = a_row("http://a.example/1.jpg")
    Renditions(448).choose(row)
    assert row.rendition is None


@pytest.mark.parametrize(("refused", "is_pointless"), [(2, False), (3, True)])
def test_after_three_refusals_a_server_has_no_such_version(refused: int, is_pointless: bool) -> None:
    row = _chosen(_learned(direct=refused))
    assert row.asks_for_version is (not is_pointless or row.url == f"{SERVICE}/19/info.json")
    assert row.asks_for_sizes is is_pointless, "its document may name another"
    assert row.has_asked_sizes is is_pointless


@pytest.mark.parametrize(("refused", "is_pointless"), [(2, False), (3, True)])
def test_after_three_documents_in_vain_the_listed_picture_is_requested(refused: int, is_pointless: bool) -> None:
    row = _chosen(_learned(sizes=refused))
    assert (row.rendition is None) is is_pointless


def test_a_document_that_names_nothing_is_not_asked_for_where_versions_are_served() -> None:
    renditions = _learned(sizes=3)
    served = a_row(PICTURES[10])
    Renditions(448).choose(served)
    assert renditions.note_stored(served), "a version was served, so others may choose again"
    row = _chosen(renditions)
    assert row.asks_for_version
    assert row.rendition is not None and row.rendition.sizes_url == ""


def test_what_is_learned_is_of_one_server() -> None:
    renditions = _learned(sizes=3)
    row = a_row(PICTURES[0])
    row.server = "other.example"
    renditions.choose(row)
    assert row.asks_for_version


def test_a_stored_picture_tells_something_new_only_when_something_changes() -> None:
    renditions = Renditions(448)
    told = []
    for row in _rows(5):
        renditions.choose(row)
        row.url = row.identifier
        told.append(renditions.note_stored(row))
    assert told == [False, False, True, False, False]
    assert not renditions.note_stored(a_row("http://a.example/1.jpg")), "without a version nothing is learned"


def test_versions_by_document_show_that_others_are_not_there() -> None:
    renditions = Renditions(448)
    for row in _rows(REFUSED_AFTER):
        renditions.choose(row)
        row.has_asked_sizes = True
        renditions.note_stored(row)
    row = _chosen(renditions)
    assert row.asks_for_sizes
    assert not renditions.learn_sizes(row, b"{}")
    assert renditions.learn_sizes(row, json.dumps(INFO).encode())
    assert row.url == PICTURES[19].replace("full/full", "full/1000,")


def test_rows_that_wait_go_past_what_their_server_was_found_not_to_have() -> None:
    waiting = _chosen(Renditions(448))
    Renditions(448).choose_again(waiting)
    assert waiting.asks_for_version, "nothing is known"
    _learned(direct=3).choose_again(waiting)
    assert waiting.asks_for_sizes and waiting.has_asked_sizes
    _learned(direct=3).choose_again(waiting)
    assert waiting.asks_for_sizes, "that is still to be found out"
    _learned(sizes=3).choose_again(waiting)
    assert (waiting.url, waiting.mirrors) == (waiting.identifier, [])
    both = _chosen(Renditions(448))
    _learned(sizes=3).choose_again(both)
    assert both.url == both.identifier
    without = _chosen(Renditions(448))
    assert without.rendition is not None
    without.rendition = replace(without.rendition, sizes_url="")
    _learned(direct=3).choose_again(without)
    assert without.url == without.identifier
