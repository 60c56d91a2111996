"""A listed checksum is compared with what came: noted by default, an error that is tried once more on request."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ray_downloader.fetch.base import FetchRequest
from ray_downloader.fetch.fake import Reply
from ray_downloader.partition.batches import load_batches
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from ray_downloader.schedule.run_status import scan
from tests.unit.worker.worker_run import Run, found, picture

RIGHT, WRONG = hashlib.md5(picture()).hexdigest(), "0" * 32


def _run(tmp_path: Path, rows: list[tuple[str, str]], checksum: str, **more: object) -> Run:
    dataset = {"columns": {"md5": "m"}, "checksum": checksum, "keep": ["m"]}
    return Run(
        tmp_path,
        ["url,m", *(f"{url},{md5}" for url, md5 in rows)],
        groups={"dataset": dataset},
        **more,  # type: ignore[arg-type]
    )


ROWS = [("http://a.example/1.jpg", RIGHT), ("http://a.example/2.jpg", WRONG), ("http://a.example/3.jpg", "")]


def test_it_is_noted_and_counted(tmp_path: Path) -> None:
    run = _run(tmp_path, ROWS, "note")
    run.slice()
    found_ = dict(zip(run.read(SUCCESSES, "identifier"), run.read(SUCCESSES, "checksum_ok"), strict=True))
    assert found_ == {"http://a.example/1.jpg": True, "http://a.example/2.jpg": False, "http://a.example/3.jpg": None}
    assert sorted(run.read(SUCCESSES, "m"), key=str) == sorted([RIGHT, WRONG, None], key=str)
    assert scan(run.layout, load_batches(run.layout)).checksums == {"ok": 1, "wrong": 1}


def test_it_is_an_error_on_request_after_one_more_try(tmp_path: Path) -> None:
    run = _run(tmp_path, ROWS, "require")
    run.slice()
    assert run.kinds() == {"checksum_mismatch": 1}
    assert run.read(ERRORS, "retry_count") == [1]
    assert run.read(ERRORS, "error_code") == [-2]
    assert run.asked()["http://a.example/2.jpg"] == 2
    assert run.asked()["http://a.example/1.jpg"] == 1


def test_what_was_garbled_once_comes_well_the_second_time(tmp_path: Path) -> None:
    asked: list[str] = []

    def garbled_first(request: FetchRequest) -> Reply:
        asked.append(request.url)
        return found(request) if len(asked) > 1 else Reply(body=picture() + b"?", after_s=0.05)

    run = _run(tmp_path, ROWS[:1], "require", script=garbled_first)
    run.slice()
    assert run.read(SUCCESSES, "checksum_ok") == [True]
    assert run.read(SUCCESSES, "retry_count") == [1]


@pytest.mark.parametrize(("checksum", "errors"), [("note", 0), ("require", 1)])
def test_rows_of_one_url_are_judged_each_by_its_own_checksum(tmp_path: Path, checksum: str, errors: int) -> None:
    url = "http://a.example/1.jpg"
    run = _run(tmp_path, [(url, RIGHT), (url, WRONG), (url, RIGHT)], checksum)
    run.slice()
    assert len(run.read(ERRORS, "uuid")) == errors
    assert sorted(run.read(SUCCESSES, "checksum_ok")) == [False] * (1 - errors) + [True, True]
    assert run.asked()[url] == 1 + errors
