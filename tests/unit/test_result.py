"""The result of a run as a Python caller sees it."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader import UserError
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode
from ray_downloader.result import RunResult
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.signals import draining_on_signals, raising_interrupts


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    layout = RunLayout.of(Settings.from_config({"path_to_input": "a", "path_to_output": tmp_path}))
    for server in ("a.example", "b.example"):
        folder = layout.batch_folder(server, 0)
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"uuid": [server], "image": [b"123"]}), folder / "successes.parquet")
        pq.write_table(pa.table({"uuid": [f"{server} e"], "error_kind": ["dns"]}), folder / "errors.parquet")
    summary = {"rows": {"input": 5, "rejected": 0, "successes": 2, "errors": 2}, "unsettled_rows": 1}
    layout.summary_file.write_text(json.dumps(summary), "utf-8")
    return layout


def test_it_has_counts_files_and_tables_and_is_the_exit_code(layout: RunLayout) -> None:
    result = RunResult(ExitCode.STOPPED, layout)
    assert result == 3 and result.exit_code is ExitCode.STOPPED and not result.is_finished
    assert result.rows == {"input": 5, "rejected": 0, "successes": 2, "errors": 2, "left": 1}
    assert (len(result.successes), len(result.errors), result.path) == (2, 2, layout.root)
    assert list(result.to_pandas().columns) == ["uuid"], "pictures are left out"
    assert sorted(result.to_pandas(["image", "uuid"])["uuid"]) == ["a.example", "b.example"]
    assert list(result.to_pandas(errors=True)["error_kind"]) == ["dns", "dns"]
    assert f"{result}" == "3"
    assert repr(result).startswith("<RunResult stopped: input 5, ")


def test_a_run_without_a_download_has_no_rows(tmp_path: Path) -> None:
    result = RunResult(
        ExitCode.SETTLED, RunLayout.of(Settings.from_config({"path_to_input": "a", "path_to_output": tmp_path}))
    )
    assert result.rows == {} and result.is_finished and len(result.to_pandas()) == 0


def test_without_pandas_one_sentence_says_so(layout: RunLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="to_pandas\\(\\) needs pandas"):
        RunResult(ExitCode.SETTLED, layout).to_pandas()


def test_an_interrupt_that_made_a_run_drain_is_raised_afterwards() -> None:
    drained: list[str] = []
    with pytest.raises(KeyboardInterrupt), raising_interrupts(), draining_on_signals(drained.append):
        os.kill(os.getpid(), signal.SIGINT)
    assert drained == ["SIGINT"]


def test_other_signals_only_drain() -> None:
    drained: list[str] = []
    with raising_interrupts(), draining_on_signals(drained.append):
        os.kill(os.getpid(), signal.SIGTERM)
    assert drained == ["SIGTERM"]
