"""Passwords in listed URLs reach the fetcher, and no parquet file or journal has them."""

from __future__ import annotations

import stat
from pathlib import Path

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FetchRequest
from ray_downloader.fetch.fake import Reply
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from tests.unit.worker.worker_run import Run, found

URLS = [f"http://u:s3cret@a.example/{n}.jpg" for n in range(4)]


def script(request: FetchRequest) -> Reply:
    if request.url.endswith("/1.jpg"):
        return Reply(ErrorKind.HTTP_4XX, 404, said="HTTP status 404: no http://u:s3cret@a.example/1.jpg here")
    if request.url.endswith("/2.jpg"):
        return Reply(status=302, redirect_url="ftp://u:s3cret@b.example/")
    return found(request)


def test_results_name_rows_without_their_passwords(tmp_path: Path) -> None:
    run = Run(tmp_path, URLS, script)
    run.slice()
    assert sorted(run.asked()) == URLS
    shown = [url.replace("u:s3cret@", "") for url in URLS]
    assert sorted(run.read(SUCCESSES, "identifier") + run.read(ERRORS, "identifier")) == shown
    assert sorted(run.read(SUCCESSES, "final_url")) == [shown[0], shown[3]]
    assert not [path for path in run.layout.images.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]


def test_a_batch_that_goes_on_knows_its_rows_again(tmp_path: Path) -> None:
    """Also those that were published before their errors were retried."""
    run = Run(tmp_path, URLS, lambda request: Reply(ErrorKind.HTTP_5XX, 500, after_s=5.0))
    run.slice(seconds=6.0)
    assert sum(item.left for item in run.work) == 4
    (travelling,) = run.layout.images.rglob("_under_way.json")
    assert stat.S_IMODE(travelling.stat().st_mode) == 0o600
    run.clock.now_s += 600
    run.fetcher._script = script
    run.slice(holder="next")
    assert len(run.read(SUCCESSES, "uuid")) == 2
    assert len(run.read(ERRORS, "uuid")) == 2
    assert not [path for path in run.layout.images.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
