"""The report of whole run folders: finished, stopped, killed, and not runs at all."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ray_downloader.errors import ExitCode
from ray_downloader.output import time_left
from ray_downloader.report import write
from ray_downloader.report.__main__ import main
from ray_downloader.report.gather import gather
from ray_downloader.report.write import report_at_the_end, write_report
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.signals import stopping_on_signals
from tests.support.partitioned import partitioned_run
from tests.support.reported import Listed, learned, reported_run

#: What servers and lists might write to get into a page.
HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">\u2028&amp;"\'`${1}'
KEY = "7e380070-f762-11e1-a439-00145eb45e9a"
ROWS = [
    *(Listed(f"http://good.example/{n}.jpg", listed={"license": "CC0", "source": "Museum", "datasetKey": KEY},
             columns={"datasetKey": KEY}) for n in range(3)),
    *(Listed(f"http://bad.example/{n}.jpg", "http_4xx", {"http_status": 404, "error_msg": HOSTILE},
             {"source": HOSTILE, "license": "javascript:alert(3)", "title": HOSTILE, "datasetKey": HOSTILE})
      for n in range(2)),
    Listed("http://dead.example/1.jpg", "server_dead"),
    Listed("http://late.example/1.jpg"),
    Listed("no url"),
]  # fmt: skip
SETTINGS = {"dataset": {"keep": ["datasetKey"]}, "downloader_parameters": {"pool_below": 1}}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> RunLayout:
    layout = reported_run(tmp_path_factory.mktemp("run"), ROWS, ["late.example"], **SETTINGS)
    learned(layout, bad__example={"said": HOSTILE, "rate_rps": 3.0, "throttled": 2})
    layout.logs.mkdir(exist_ok=True)
    layout.command_file.write_text("python -m ray_downloader path_to_output=out retry_errors=transient\n", "utf-8")
    rows = {"input": 8, "rejected": 1, "successes": 3, "errors": 3}
    download = {"seconds": 2.0, "images_per_s": 1.5, "bytes": 9}
    summary = {"rows": rows, "unsettled_rows": 1, "errors_by_kind": {}, "download": download}
    layout.summary_file.write_text(json.dumps(summary), "utf-8")
    write_report(layout.root)
    return layout


@pytest.fixture(scope="module")
def page(layout: RunLayout) -> str:
    return (layout.root / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def document(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    read: dict[str, Any] = json.loads(found[1])
    return read


def test_totals_are_those_of_the_run(document: dict[str, Any]) -> None:
    totals = document["totals"]
    assert {key: totals[key] for key in ("input", "images", "errors", "rejected", "left", "servers")} == {
        "input": 8, "images": 3, "errors": 3, "rejected": 1, "left": 1, "servers": 4,
    }  # fmt: skip
    assert document["errors"] == [["http_4xx", 2], ["server_dead", 1]]
    assert (totals["seconds"], totals["images_per_s"]) == (2.0, 1.5)


def test_a_server_has_its_words_and_advice(document: dict[str, Any]) -> None:
    line = next(line for line in document["servers"] if line[0] == "bad.example")
    assert line[1:8] == [2, 0, 2, 0, 3.0, 0, 2]
    assert line[11][0][:3] == ["http_4xx", 404, 2]
    assert line[11][0][3].startswith("</script>")
    assert line[12][0].startswith("Moved or deleted, HTTP 404")


def test_what_is_missing_has_someone_to_ask(document: dict[str, Any]) -> None:
    asked = {each["server"]: each for each in document["missing"]}
    assert set(asked) == {"bad.example", "dead.example"}
    assert asked["bad.example"]["publisher"] == HOSTILE
    assert "server is gone" in asked["dead.example"]["ask"]


def test_datasets_are_named_for_citing(document: dict[str, Any]) -> None:
    assert document["cite"]["datasets"] == [[KEY, f"https://www.gbif.org/dataset/{KEY}", 3]]


def test_commands_continue_and_retry(document: dict[str, Any]) -> None:
    commands = dict(document["commands"])
    assert commands["Continue: 1 rows have no final answer"] == "python -m ray_downloader path_to_output=out"
    retry = "python -m ray_downloader path_to_output=out retry_errors=transient"
    assert commands["Retry the 1 errors that may pass"] == retry


def test_no_text_of_a_server_can_leave_the_data(page: str) -> None:
    assert HOSTILE.partition("\u2028")[0] not in page
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "\u2028" not in page
    assert "<img" not in page


def test_only_our_style_and_script_may_run_and_nothing_is_loaded(page: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    style, script = (re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)[0] for name in ("style", "script"))
    for name, text in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//|@import|url\(|fetch\(|innerHTML|\beval\b", style + script)


def test_multiqc_gets_its_files(layout: RunLayout) -> None:
    general = json.loads((layout.root / "report_mqc.json").read_text("utf-8"))
    assert general["data"] == {"out": {"images": 3, "errors": 3, "rejected": 1, "left": 1}}
    assert {column for entry in general["pconfig"] for column in entry} == set(general["data"]["out"])
    servers = json.loads((layout.root / "report_servers_mqc.json").read_text("utf-8"))
    assert servers["data"]["good.example"]["images"] == 3
    bars = json.loads((layout.root / "report_outcomes_mqc.json").read_text("utf-8"))
    assert bars["data"]["out"] == {"images": 3, "http_4xx": 2, "server_dead": 1, "rejected": 1, "left": 1}


def test_the_command_prints_where_the_report_is(layout: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(layout.root), "--pictures", "none"]) == 0
    assert capsys.readouterr().out == f"{layout.root / 'report.html'}\n"


def test_a_run_whose_command_is_unknown_is_continued_in_words(tmp_path: Path) -> None:
    layout = reported_run(tmp_path, [Listed("http://a.example/1.jpg", "dns")])
    write_report(layout.root)
    assert "the same command with retry_errors=transient" in (layout.root / "report.html").read_text("utf-8")


def test_a_run_of_which_nothing_is_finished_has_a_report(tmp_path: Path) -> None:
    layout = partitioned_run(tmp_path, ["http://a.example/1.jpg"])[1]
    write_report(layout.root)
    assert '"left":1' in (layout.root / "report.html").read_text("utf-8")


def test_a_folder_that_is_no_run_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "settings.json does not exist" in capsys.readouterr().err
    layout = partitioned_run(tmp_path, ["http://a.example/1.jpg"])[1]
    layout.batches_table.unlink()
    assert main([str(layout.root)]) == 2
    assert "holds no partitioned list yet" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.EACCES], ids=errno.errorcode.get)
def test_a_report_that_cannot_be_written_is_one_sentence(
    layout: RunLayout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def fails(path: Path, *_: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(write, "write_text", fails)
    assert main([str(layout.root)]) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert said.startswith(f"ray_downloader.report: {layout.root}")
    assert "the same command continues" in said


@pytest.mark.parametrize("error", [OSError("disk full"), ZeroDivisionError("a fault")], ids=["disk", "fault"])
def test_a_report_that_fails_does_not_fail_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    layout = partitioned_run(tmp_path, ["http://a.example/1.jpg"])[1]

    def fails(*_: object) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(write, "gather", fails)
    report_at_the_end(layout, is_stopped=False)
    assert f"python -m ray_downloader.report {layout.root} writes it" in caplog.text
    assert ("Traceback" in caplog.text) == (not isinstance(error, OSError))


def test_a_run_that_ended_before_its_partition_has_no_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    layout = partitioned_run(tmp_path, ["http://a.example/1.jpg"])[1]
    layout.batches_table.unlink()
    report_at_the_end(layout, is_stopped=True)
    assert not (layout.root / "report.html").exists()
    assert caplog.text == ""


@pytest.mark.parametrize("is_stopped", [True, False], ids=["stopped", "finished"])
def test_a_very_long_run_that_was_stopped_leaves_it_to_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_stopped: bool
) -> None:
    layout = partitioned_run(tmp_path, ["http://a.example/1.jpg"])[1]
    monkeypatch.setattr(time_left, "MOST_BATCHES_OF_A_STOPPED_RUN", 0)
    report_at_the_end(layout, is_stopped=is_stopped)
    assert (layout.root / "report.html").exists() is not is_stopped


def test_the_signal_that_stopped_a_run_comes_again_and_the_report_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The Slurm script repeats it until the program ends."""
    layout = partitioned_run(tmp_path, ["http://a.example/1.jpg"])[1]

    def signalled(*arguments: Any) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGUSR1)
        return gather(*arguments)

    monkeypatch.setattr(write, "gather", signalled)
    with stopping_on_signals():
        report_at_the_end(layout, is_stopped=True)
    assert (layout.root / "report.html").exists()
    assert "Traceback" not in caplog.text


def test_a_signal_during_the_report_of_a_finished_run_is_an_interrupt_also_amid_a_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    layout = partitioned_run(tmp_path, ["http://a.example/1.jpg"])[1]

    def asks_much(*_: object) -> dict[str, Any]:
        signalled = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        signalled.start()
        with duckdb.connect() as connection:  # a second: DuckDB sometimes ends a query first, and is interrupted then
            connection.execute("SELECT sum(hash(range)) FROM range(100_000_000)").fetchall()
        signalled.join()
        return {}

    monkeypatch.setattr(write, "gather", asks_much)
    with pytest.raises(KeyboardInterrupt), stopping_on_signals():
        report_at_the_end(layout, is_stopped=False)
    assert "Traceback" not in caplog.text
