"""Which servers miss rows, and from whom these are."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.partition.batches import load_batches
from ray_downloader.report import missing
from ray_downloader.report.advice import meaning
from ray_downloader.report.missing import missing_rows
from ray_downloader.report.servers import OTHERS, ServerLine
from tests.support.lists import Partitioned, partitioned

KEPT = {"name": "generic", "keep": ["publisher", "institutionCode", "datasetKey"]}
HEADER = "identifier,source,publisher,institutionCode,datasetKey"


def listed(folder: Path, rows: list[str], dataset: dict[str, object] = KEPT) -> Partitioned:
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    return partitioned(folder / "list.csv", folder / "out", dataset, batch_size=20)


def found(run: Partitioned, *lines: ServerLine) -> list[tuple[str, int, str, str, str]]:
    rows = missing_rows(run.layout, lines, load_batches(run.layout))
    return [(row.server, row.rows, row.kind, row.publisher, row.dataset) for row in rows]


def test_the_publisher_and_dataset_are_those_of_most_rows(tmp_path: Path) -> None:
    rows = [
        *(f"http://big.org/{n}.jpg,,{'Museum A' if n < 9 else 'Museum B'},X,key-{n % 3}" for n in range(12)),
        "http://small.org/1.jpg,,,Herbarium,",
        "http://tiny.org/1.jpg,Source,Museum,,key-9",
    ]
    run = listed(tmp_path, [HEADER, *rows])
    lines = [
        ServerLine("tiny.org", 1, 0, {"dns": 1}),
        ServerLine("big.org", 12, 2, {"http_4xx": 4, "http_5xx": 6}),
        ServerLine("small.org", 1, 1, {}),
        ServerLine(OTHERS, 9, 0, {"dns": 9}),
    ]
    assert found(run, *lines) == [
        ("big.org", 10, "http_5xx", "Museum A", "key-0"),
        ("tiny.org", 1, "dns", "Source", "key-9"),
    ]
    (first, _) = missing_rows(run.layout, lines, load_batches(run.layout))
    assert first.ask == meaning("http_5xx").ask
    assert found(run, ServerLine("small.org", 1, 0, {"dns": 1})) == [("small.org", 1, "dns", "Herbarium", "")]


def test_a_list_that_names_nobody_has_servers_all_the_same(tmp_path: Path) -> None:
    run = listed(tmp_path, ["identifier", "http://a.org/1.jpg"], {})
    assert found(run, ServerLine("a.org", 1, 0, {"dns": 1}), ServerLine("gone.org", 1, 0, {"tls": 1})) == [
        ("a.org", 1, "dns", "", ""), ("gone.org", 1, "tls", "", ""),
    ]  # fmt: skip


def test_of_equally_many_errors_one_kind_is_always_the_same(tmp_path: Path) -> None:
    run = listed(tmp_path, ["identifier", "http://a.org/1.jpg"], {})
    for kinds in ({"dns": 2, "tls": 2}, {"tls": 2, "dns": 2}):
        assert found(run, ServerLine("a.org", 4, 0, kinds))[0][2] == "tls"


def test_a_report_reads_no_more_than_its_share_of_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing, "MOST_SERVERS", 2)
    monkeypatch.setattr(missing, "MOST_BATCHES", 1)
    rows = [f"http://s{server}.org/{n}.jpg,,Museum {server},," for server in range(3) for n in range(10)]
    run = listed(tmp_path, [HEADER, *rows])
    lines = [ServerLine(f"s{server}.org", 10, 0, {"dns": 10 - server}) for server in (2, 1, 0)]
    assert found(run, *lines) == [("s0.org", 10, "dns", "Museum 0", ""), ("s1.org", 9, "dns", "", "")]
