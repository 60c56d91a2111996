"""`status` tells a run that goes on from one that was killed, and knows how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ray_downloader.monitor import run_report
from ray_downloader.monitor.run_report import SILENT_S, read_report, reporting
from ray_downloader.status import main

ROWS = {"input": 10, "rejected": 1, "successes": 3, "errors": 1, "left": 5}
FIGURES = {"rows": ROWS, "images_per_s": 2.5, "eta_s": 2, "waiting": [], "errors_by_kind": {"dns": 1}}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "settings.json").write_text(json.dumps({"output_structure": {"logs_folder": "messages"}}), "utf-8")
    return tmp_path


def shown(out: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main([str(out), "--json"]) == 0
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_a_run_is_shown_from_its_start_to_its_end(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = out / "messages" / "progress.json"
    with reporting(path) as report:
        report.enter("partition")
        assert shown(out, capsys)["state"] == "running"
        report.write("running", FIGURES)
        assert shown(out, capsys) == {"state": "running", **FIGURES}
        report.write("draining")
        assert shown(out, capsys)["state"] == "draining"
    assert shown(out, capsys) == {"state": "stopped", **FIGURES, "images_per_s": 0.0, "eta_s": None}


def test_a_run_without_rows_left_is_finished(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(out / "messages" / "progress.json") as report:
        report.keep({"rows": {**ROWS, "left": 0}})
    assert shown(out, capsys)["state"] == "finished"


def test_an_exception_ends_a_run_too(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), reporting(out / "messages" / "progress.json") as report:
        report.enter("profile")
        raise ZeroDivisionError
    assert shown(out, capsys)["state"] == "stopped"


def test_the_next_run_begins_with_the_rows_of_the_last(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = out / "messages" / "progress.json"
    with reporting(path) as report:
        report.write("running", FIGURES)
    with reporting(path) as report:
        report.enter("partition")
        assert shown(out, capsys)["rows"] == ROWS


def test_a_killed_run_is_known_by_its_process(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = out / "messages" / "progress.json"
    code = (
        "import os, sys, pathlib; from ray_downloader.monitor.run_report import reporting\n"
        f"with reporting(pathlib.Path({str(path)!r})) as report: report.enter('download'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert shown(out, capsys)["state"] == "killed"


def test_a_killed_run_of_another_machine_is_known_by_its_silence(
    out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = out / "messages" / "progress.json"
    with reporting(path) as report:
        report.enter("download")
        monkeypatch.setattr(run_report.platform, "node", lambda: "another")
        assert shown(out, capsys)["state"] == "running"
        os.utime(path, (time.time() - 2 * SILENT_S,) * 2)
        assert shown(out, capsys)["state"] == "killed"


def test_the_process_touches_the_file_while_it_lives(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_report, "HEARTBEAT_S", 0.01)
    path = out / "messages" / "progress.json"
    with reporting(path) as report:
        report.enter("download")
        os.utime(path, (0, 0))
        until = time.monotonic() + 60
        while path.stat().st_mtime < 1 and time.monotonic() < until:
            time.sleep(0.01)
        assert path.stat().st_mtime > 1


def test_people_read_a_few_lines(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wait = {"server": "a.org", "rows": 5, "reason": "retry_after", "until": "2027-01-15T08:00:00+00:00"}
    with reporting(out / "messages" / "progress.json") as report:
        report.enter("download")
        report.write("running", {**FIGURES, "waiting": [wait] * 12})
        assert main([str(out)]) == 0
        text = capsys.readouterr().out
    for part in (
        "state    running (download)",
        "rows     10: 3 images, 1 errors, 1 rejected, 5 left",
        "speed    2.5 images/s in the last minute, about 0:00:02 to go",
        "errors   dns 1",
        "waits    a.org: retry_after until 2027-01-15T08:00:00+00:00, 5 rows",
        "waits    2 more servers (--json lists them)",
    ):
        assert part in text


def test_a_folder_in_which_nothing_was_begun(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(out, capsys)["state"] == "stopped"
    assert read_report(out / "messages" / "progress.json") is None


def test_a_folder_that_is_no_run_gets_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "settings.json does not exist" in capsys.readouterr().err


def test_watching_ends_with_the_run(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(out / "messages" / "progress.json") as report:
        report.keep({"rows": {**ROWS, "left": 0}})
    assert main([str(out), "--json", "--watch"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_run_of_an_earlier_version_is_known_by_its_summary(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"input": 10, "rejected": 1, "successes": 8, "errors": 1}
    summary = {"rows": rows, "unsettled_rows": 0, "errors_by_kind": {"dns": 1}}
    (out / "summary.json").write_text(json.dumps(summary), "utf-8")
    assert shown(out, capsys)["state"] == "finished"
    assert shown(out, capsys)["rows"] == {**rows, "left": 0}


def test_the_text_says_what_is_slow_and_what_waits(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wait = {"server": "a.example", "rows": 7, "reason": "retry_after", "until": "2027-01-15T09:00:00+00:00"}
    slow = [
        {"server": name, "rows": 7, "eta_s": 90, "reason": None, "until": None} for name in ("a.example", "b.example")
    ]
    figures = {**FIGURES, "received_mb_per_s": 1.5, "waiting": [wait], "slowest": slow}
    with reporting(out / "messages" / "progress.json") as report:
        report.write("running", figures)
        assert main([str(out)]) == 0
    text = capsys.readouterr().out
    assert "traffic  1.50 MB/s received, 0.00 MB/s stored\n" in text
    assert "slow     b.example: 7 rows, about 0:01:30\n" in text
    assert "waits    a.example: retry_after until 2027-01-15T09:00:00+00:00, 7 rows" in text
    assert "slow     a.example" not in text, "it is among those that wait"


def test_a_path_that_cannot_be_a_run_folder_has_no_report() -> None:
    assert read_report(Path("/dev/null/out/logs/progress.json")) is None
