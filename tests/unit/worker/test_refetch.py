"""`refetch=changed`: servers are asked about the pictures of an earlier run, and 304 keeps them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FetchRequest
from ray_downloader.fetch.fake import Reply
from ray_downloader.output.journal import HELD, HELD_INDEX
from ray_downloader.reuse import find_base_rows, take_base
from ray_downloader.run_folder.layout import SUCCESSES
from ray_downloader.run_folder.retry_order import NO_RETRY
from ray_downloader.schedule.run_status import scan
from tests.support.earlier_run import FETCHED_AT, earlier_run, image_of, picture_of
from tests.unit.worker.worker_run import Run, found

pytestmark = pytest.mark.stage

URLS = [f"http://a.example/{number:02d}.jpg" for number in range(30)]
NOT_MODIFIED = Reply(ErrorKind.HTTP_4XX, 304, after_s=0.01)  # as fetchers report it


def unchanged(request: FetchRequest) -> Reply:
    """A server on which nothing has changed."""
    if request.headers.get("If-None-Match") == image_of(request.url).etag:
        return NOT_MODIFIED
    return found(request)


def refetching(tmp_path: Path, script: Any, urls: list[str] = URLS, earlier: list[str] = URLS, **options: Any) -> Run:
    base = earlier_run(tmp_path / "old", earlier)
    run = Run(tmp_path / "new", urls, script, groups={"base": [str(base.root)], "refetch": "changed"}, **options)
    find_base_rows(run.settings, run.layout)
    take_base(run.settings, run.layout, NO_RETRY, Console(file=io.StringIO()))
    return run


def results(run: Run) -> dict[str, tuple[bytes, str | None]]:
    columns = [run.read(SUCCESSES, name) for name in ("identifier", "image", "reused")]
    return {url: (image, reused) for url, image, reused in zip(*columns, strict=True)}


def test_what_has_not_changed_is_kept_with_one_request_each_and_no_body(tmp_path: Path) -> None:
    run = refetching(tmp_path, unchanged)
    report = run.slice()
    assert results(run) == {url: (picture_of(url), "not_modified") for url in URLS}
    assert set(run.asked().values()) == {1}
    assert report.size_bytes == 0
    assert {request.headers["If-Modified-Since"] for _, request in run.fetcher.started} == {
        "Wed, 01 Jan 2020 00:00:00 GMT"
    }
    assert set(run.read(SUCCESSES, "fetched_at")) == {FETCHED_AT}
    assert run.host.snapshots()["a.example"]["condition"] == "healthy"
    (folder,) = run.layout.images.glob("*/*")
    assert not (folder / HELD).exists() and not (folder / HELD_INDEX).exists()


def test_what_has_changed_is_fetched_and_what_is_gone_is_an_error(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        if request.url == URLS[3]:
            return found(request)
        return Reply(ErrorKind.HTTP_4XX, 404) if request.url == URLS[4] else unchanged(request)

    run = refetching(tmp_path, script)
    run.slice()
    stored = results(run)
    assert len(stored) == 29 and stored[URLS[3]][1] is None
    assert stored[URLS[3]][0] != picture_of(URLS[3])
    assert run.kinds() == {"http_4xx": 1}
    assert scan(run.layout, [item.batch for item in run.work]).reused == {}


@pytest.mark.parametrize(("status", "is_found"), [(412, True), (400, True), (412, False)])
def test_a_server_that_cannot_judge_conditions_is_asked_without_one(
    tmp_path: Path, status: int, *, is_found: bool
) -> None:
    def script(request: FetchRequest) -> Reply:
        refused = Reply(ErrorKind.HTTP_4XX, status, after_s=0.01)
        return found(request) if is_found and "If-None-Match" not in request.headers else refused

    run = refetching(tmp_path, script)
    run.slice()
    assert run.asked() == dict.fromkeys(URLS, 2)
    assert len(results(run)) == (30 if is_found else 0)
    assert run.kinds() == ({} if is_found else {"http_4xx": 30})


def test_rows_that_no_earlier_run_has_are_asked_without_a_condition(tmp_path: Path) -> None:
    run = refetching(tmp_path, unchanged, [*URLS, "http://a.example/new.jpg"])
    run.slice()
    (new,) = (request for _, request in run.fetcher.started if request.url.endswith("new.jpg"))
    assert "If-None-Match" not in new.headers
    assert results(run)["http://a.example/new.jpg"][1] is None


def test_304_to_a_request_without_a_condition_is_an_error(tmp_path: Path) -> None:
    run = refetching(tmp_path, lambda _: NOT_MODIFIED, ["http://a.example/new.jpg"])
    run.slice()
    assert run.kinds() == {"http_4xx": 1}


def test_validators_go_only_to_the_url_whose_answer_they_are_of(tmp_path: Path) -> None:
    """It redirects now, so what it had is no answer of the target."""

    def script(request: FetchRequest) -> Reply:
        if "a.example" in request.url:
            return Reply(status=302, redirect_url=request.url.replace("a.example", "b.example"))
        assert "If-None-Match" not in request.headers
        return found(request)

    run = refetching(tmp_path, script)
    run.slice()
    assert {reused for _, reused in results(run).values()} == {None}
    assert len(results(run)) == 30


def test_a_slice_that_ends_in_the_middle_asks_nothing_twice(tmp_path: Path) -> None:
    run = refetching(tmp_path, unchanged)
    slices = 0
    while run.work:
        slices += 1
        run.slice(seconds=0.2, holder=f"task-{slices}")
    assert slices > 1
    assert set(run.asked().values()) == {1}
    assert {reused for _, reused in results(run).values()} == {"not_modified"}


def test_a_picture_that_is_lost_meanwhile_is_fetched_without_a_condition(tmp_path: Path) -> None:
    run = refetching(tmp_path, unchanged)
    (folder,) = run.layout.images.glob("*/*")
    content = (folder / HELD).read_bytes()
    (folder / HELD).write_bytes(content[: len(content) // 2])
    run.slice()
    kept = [reused for _, reused in results(run).values()]
    assert len(kept) == 30
    assert 0 < kept.count(None) < 30
    assert sum(run.asked().values()) == 30 + kept.count(None)


def test_equal_urls_are_asked_once_and_all_keep_their_picture(tmp_path: Path) -> None:
    run = refetching(tmp_path, unchanged, [URLS[0]] * 3, [URLS[0]])
    run.slice()
    assert run.asked() == {URLS[0]: 1}
    assert run.read(SUCCESSES, "reused") == ["not_modified"] * 3


def test_an_opt_out_that_comes_with_304_holds(tmp_path: Path) -> None:
    def script(_: FetchRequest) -> Reply:
        return Reply(ErrorKind.HTTP_4XX, 304, headers={"x-robots-tag": "noai"}, after_s=0.01)

    run = refetching(tmp_path, script, URLS[:1])
    run.slice()
    assert run.kinds() == {"opted_out": 1}


def test_whether_a_picture_has_changed_is_not_asked_where_robots_txt_names_us(tmp_path: Path) -> None:
    """Under `ignore`, too."""

    def script(request: FetchRequest) -> Reply:
        is_file = request.url.endswith("/robots.txt")
        return Reply(body=b"User-agent: ray_downloader\nDisallow: /0\n") if is_file else unchanged(request)

    run = refetching(tmp_path, script, asks_for_robots=True)
    run.slice()
    assert run.kinds() == {"robots": 10}
    assert run.fetcher.started[0][1].url == "http://a.example/robots.txt"
    assert sorted(run.asked()) == [*URLS[10:], "http://a.example/robots.txt"]
