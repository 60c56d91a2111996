"""Aggregates over finished batches."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ray_downloader.output.batch_folder import SUCCESS, BatchFolder
from ray_downloader.report import results
from ray_downloader.report.results import TIME_STEPS, Results, read_results
from ray_downloader.run_folder.layout import RunLayout
from tests.support.reported import Listed, reported_run

ROWS = [
    *(Listed(f"http://big.example/{n}.jpg", listed={"license": "CC0", "source": "A"}) for n in range(12)),
    *(
        Listed(f"http://big.example/moved/{n}.jpg", columns={"final_url": f"https://new.example/{n}.jpg"})
        for n in range(3)
    ),
    *(Listed(f"http://big.example/gone/{n}.jpg", "http_4xx", {"http_status": 404, "error_msg": "it moved"})
      for n in range(5)),
    Listed("http://big.example/gone/x.jpg", "http_4xx", {"http_status": 403, "error_msg": "no"}),
    Listed("http://SMALL.example:80/1.jpg", "server_dead", {"error_msg": "never answered"}),
    Listed("http://tiny.example:8080/1.jpg", "tls", {"error_msg": "chain"}),
]  # fmt: skip


def read(layout: RunLayout) -> Results:
    folders = {path: BatchFolder(path).counts() for path in sorted(layout.images.glob("*/*"))}
    counts = {path: each.by_kind for path, each in folders.items() if each is not None}
    return read_results(counts, SUCCESS, random.Random(1))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> RunLayout:
    return reported_run(tmp_path_factory.mktemp("run"), ROWS, downloader_parameters={"pool_below": 10})


@pytest.fixture(scope="module")
def found(layout: RunLayout) -> Results:
    return read(layout)


def test_properties_of_images_are_counted(found: Results) -> None:
    assert dict(found.counts["license"]) == {"CC0": 12, "": 3}
    assert dict(found.counts["source"]) == {"A": 12, "": 3}
    assert dict(found.counts["original_format"]) == {"jpeg": 15}
    assert dict(found.counts["longer_side"]) == {"64": 15}


def test_words_are_those_of_each_server_also_of_small_ones_that_share_a_folder(found: Results) -> None:
    said = {name: [(w.kind, w.status, w.rows, w.text) for w in words] for name, words in found.words.items()}
    assert said == {
        "big.example": [("http_4xx", 404, 5, "it moved"), ("http_4xx", 403, 1, "no")],
        "small.example": [("server_dead", None, 1, "never answered")],
        "tiny.example:8080": [("tls", None, 1, "chain")],
    }


def test_images_from_another_host_are_counted(found: Results) -> None:
    assert found.moved == {"big.example": ("new.example", 3)}


def test_every_row_is_in_one_step_of_time(found: Results) -> None:
    assert {kind: sum(rows) for kind, rows in found.over_time.items()} == {
        SUCCESS: 15, "http_4xx": 6, "server_dead": 1, "tls": 1,
    }  # fmt: skip
    assert {len(rows) for rows in found.over_time.values()} == {TIME_STEPS}
    assert found.images.is_whole
    assert found.errors.is_whole


def test_a_run_without_results_has_none(tmp_path: Path) -> None:
    found = read_results({}, SUCCESS, random.Random(1))
    assert (found.words, found.over_time, found.moved) == ({}, {}, {})
    assert found.images.of_rows == 0


def test_of_many_files_only_some_are_read_and_the_share_says_so(
    layout: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "MOST_FILES", 1)
    found = read(layout)
    assert not found.errors.is_whole
    assert (found.errors.files, found.errors.of_files) == (1, 2)
    assert (found.errors.rows, found.errors.of_rows) == (6, 8)  # the file with the most errors
    assert set(found.words) == {"big.example"}


def test_a_folder_that_vanishes_is_left_out(layout: RunLayout, tmp_path: Path) -> None:
    found = read_results({tmp_path / "gone": Counter({SUCCESS: 3, "dns": 1})}, SUCCESS, random.Random(1))
    assert (found.images.files, found.errors.files) == (0, 0)


def test_files_of_an_earlier_version_have_fewer_columns(tmp_path: Path) -> None:
    rows = [Listed(f"http://{name}.example/1.jpg", listed={"license": "CC0"}) for name in "abcde"]
    layout = reported_run(tmp_path, rows, downloader_parameters={"pool_below": 1})
    files = sorted(layout.images.rglob("successes.parquet"))
    older = pq.read_table(files[1]).drop_columns(["original_format", "final_url"])
    pq.write_table(older, files[1])
    found = read(layout)
    assert dict(found.counts["license"]) == {"CC0": 5}
    assert dict(found.counts["original_format"]) == {"jpeg": 4, "": 1}
