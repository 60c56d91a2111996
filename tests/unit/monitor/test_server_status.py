"""One server or group of a run, in any spelling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.run_folder.instants import SAVED_AT
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.server_states import save_server_states
from ray_downloader.status import main
from tests.support.partitioned import partitioned_run

URLS = [
    *(f"http://big.museum.org/{n}.jpg" for n in range(20)),
    *(f"http://c{host}.staticflickr.com/{n}.jpg" for host in (1, 2) for n in range(3)),
]


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    layout = partitioned_run(tmp_path, URLS)[1]
    save_server_states(layout, {"staticflickr.com": {SAVED_AT: 1.0, "rate_rps": 1.5}})
    wait = {"server": "staticflickr.com", "rows": 6, "reason": "backoff", "until": None}
    layout.logs.mkdir()
    layout.progress_file.write_text(json.dumps({"state": "stopped", "waiting": [wait]}), "utf-8")
    return layout


def shown(layout: RunLayout, name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([str(layout.root), "--json", "--server", name]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.mark.parametrize(
    ("name", "server", "rows", "rate_rps"),
    [
        ("BIG.museum.org:443", "big.museum.org", 20, 3.0),
        ("c1.staticflickr.com", "c1.staticflickr.com", 3, 1.5),
        ("staticflickr.com", "staticflickr.com", 6, 1.5),
    ],
)
def test_rows_and_rate_of_one_are_shown(
    layout: RunLayout, name: str, server: str, rows: int, rate_rps: float, capsys: pytest.CaptureFixture[str]
) -> None:
    found = shown(layout, name, capsys)
    assert (found["server"], found["rows"]["input"], found["rows"]["left"]) == (server, rows, rows)
    assert found["rate_rps"] == rate_rps
    assert (found["waiting"] is not None) is (found["budget"] == "staticflickr.com")


def test_people_read_a_few_lines(layout: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(layout.root), "--server", "c1.staticflickr.com"]) == 0
    text = capsys.readouterr().out
    for part in (
        "c1.staticflickr.com (budget of staticflickr.com)",
        "3: 0 images, 0 errors, 3 left",
        "waits    backoff",
    ):
        assert part in text


def test_a_miss_names_what_is_near(layout: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(layout.root), "--server", "big.musem.org"]) == 2
    assert "did you mean big.museum.org?" in capsys.readouterr().err
