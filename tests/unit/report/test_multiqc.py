"""The report in the form that MultiQC reads."""

from __future__ import annotations

from typing import Any

from ray_downloader.report.multiqc import MOST_SERVERS, error_bars, general_statistics, server_table

DOCUMENT: dict[str, Any] = {
    "name": "out",
    "totals": {"images": 7, "errors": 2, "rejected": 1, "left": 3, "servers": 900},
    "errors": [["http_4xx", 1], ["dns", 1]],
    "servers": [[f"s{number}.example", 9, 7, 1, 1, 2.5, 8, 0, "more"] for number in range(MOST_SERVERS + 1)],
}


def test_a_run_is_one_line_of_the_general_statistics() -> None:
    table = general_statistics(DOCUMENT)
    assert table["plot_type"] == "generalstats"
    assert table["data"] == {"out": {"images": 7, "errors": 2, "rejected": 1, "left": 3}}
    assert [name for column in table["pconfig"] for name in column] == list(table["data"]["out"])


def test_the_servers_are_a_table_that_says_how_many_it_leaves_out() -> None:
    table = server_table(DOCUMENT)
    assert len(table["data"]) == MOST_SERVERS
    assert table["data"]["s0.example"] == {
        "rows": 9, "images": 7, "errors": 1, "left": 1, "rate_rps": 2.5, "requests": 8, "refusals": 0,
    }  # fmt: skip
    assert list(table["headers"]) == list(table["data"]["s0.example"])
    assert table["headers"]["rate_rps"] == {"title": "rate rps"}
    assert table["description"] == f"{MOST_SERVERS} of 900 servers of out"


def test_the_bars_are_all_rows_by_how_they_ended() -> None:
    bars = error_bars(DOCUMENT)["data"]["out"]
    assert list(bars.items()) == [("images", 7), ("http_4xx", 1), ("dns", 1), ("rejected", 1), ("left", 3)]
