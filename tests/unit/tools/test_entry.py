"""A tool is started by its name, and a wrong name or folder is told before anything is written."""

from __future__ import annotations

import errno
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, RunFolderError, UserError
from ray_downloader.tools import entry
from ray_downloader.tools.builtin import size_based
from ray_downloader.tools.context import ToolContext
from ray_downloader.tools.entry import apply_tool, apply_tool_to
from ray_downloader.tools.legacy import register
from ray_downloader.tools.legacy.filters import FilterRegister, PythonFilterToolBase
from tests.support.stored import StoredRun


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Neither the log nor the register nor the environment is changed for others."""
    logger = logging.getLogger("ray_downloader")
    before = list(logger.handlers), logger.level, logger.propagate
    steps, environment = dict(register._FAMILIES), dict(os.environ)
    yield
    for handler in logger.handlers:
        if handler not in before[0]:
            handler.close()
    logger.handlers[:], logger.level, logger.propagate = before
    register._FAMILIES.clear()
    register._FAMILIES.update(steps)
    os.environ.clear()
    os.environ.update(environment)


def context(root: Path, name: str, **parameters: object) -> ToolContext:
    values = {"path_to_input": "", "path_to_output": root, "tools_parameters": parameters}
    return ToolContext(name, Settings.from_config(values))


def test_a_tool_runs_and_its_messages_are_kept(run: StoredRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert apply_tool(context(run.root, "size_based", threshold_size=21)) is ExitCode.SETTLED
    assert "size_based: too small: 1" in capsys.readouterr().err
    assert (run.layout.tools / "size_based" / "summary.json").exists()
    assert (run.layout.logs / "driver.log").exists()


def test_a_full_disk_is_one_sentence(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(entry, "run_tool", full)
    with pytest.raises(RunFolderError, match=f"{run.root}: no space or no inodes are left"):
        apply_tool(context(run.root, "size_based", threshold_size=21))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (duckdb.IOException("Could not write file: No space left on device"), "no space is left for this tool; make"),
        (duckdb.OutOfMemoryException("Allocation failure"), "this tool needs more memory than this process may use"),
    ],
    ids=["disk", "memory"],
)
def test_a_query_that_finds_no_room_is_one_sentence(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(size_based, "write_csv", full)
    with pytest.raises(UserError, match=sentence) as told:
        apply_tool(context(run.root, "size_based", threshold_size=21))
    assert told.value.exit_code is ExitCode.FAILED


def test_a_fault_of_a_tool_keeps_its_traceback(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr(entry, "run_tool", refused)
    with pytest.raises(ConnectionResetError):
        apply_tool(context(run.root, "size_based", threshold_size=21))


def test_a_name_that_is_not_there_is_answered_with_those_that_are(run: StoredRun) -> None:
    @FilterRegister("aaa_custom")
    class Mine(PythonFilterToolBase): ...

    with pytest.raises(UserError, match=r"no tool 'resise'; choose one of: aaa_custom, attribution, .*resize"):
        apply_tool(context(run.root, "resise"))
    assert not run.layout.logs.exists()


def test_a_folder_that_is_no_run_is_not_written_into(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished batch"):
        apply_tool(context(tmp_path, "stats"))
    assert list(tmp_path.iterdir()) == []


def test_undo_asks_for_no_batches(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no result of resize is in place"):
        apply_tool(context(tmp_path, "resize", undo=True))


def test_modules_of_ones_own_are_loaded_first(run: StoredRun, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no_such_module"):
        apply_tool(context(run.root, "stats", modules=["no_such_module"]))


@pytest.mark.parametrize("config_path", [None, Path("mine.yaml")])
def test_a_custom_tool_finds_its_configuration_in_the_environment(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch, config_path: Path | None
) -> None:
    @FilterRegister("custom")
    class Mine(PythonFilterToolBase): ...

    ran = []

    def run_custom(context: ToolContext, file: Path, console: Console) -> ExitCode:
        ran.append((context.name, file, os.environ["CONFIG_PATH"], os.environ["OUTPUT_TOOLS_LOGS_FOLDER"]))
        return ExitCode.STOPPED

    monkeypatch.setattr(entry, "run_custom", run_custom)
    assert apply_tool(context(run.root, "custom"), config_path) is ExitCode.STOPPED
    file = config_path or run.layout.settings_file
    assert ran == [("custom", file, str(file), str(run.layout.tools / "custom" / "logs"))]


def test_a_custom_tool_may_work_on_a_folder_without_finished_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @FilterRegister("custom")
    class Mine(PythonFilterToolBase): ...

    monkeypatch.setattr(entry, "run_custom", lambda *_: ExitCode.SETTLED)
    monkeypatch.setattr(entry, "Console", lambda stderr: Console(file=io.StringIO()) if stderr else None)
    assert apply_tool(context(tmp_path, "custom")) is ExitCode.SETTLED


def test_a_tool_gets_the_run_that_is_named_what_was_given_and_the_users_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[ToolContext, Path | None]] = []

    def apply_tool(context: ToolContext, config_path: Path | None) -> ExitCode:
        ran.append((context, config_path))
        return ExitCode.STOPPED

    monkeypatch.setattr(entry, "apply_tool", apply_tool)
    values = {"path_to_output": str(tmp_path), "image": {"encode": "png"}}
    for given, file in (({"image"}, Path("mine.yaml")), (set(), None)):
        assert apply_tool_to("resize", values, given, file) is ExitCode.STOPPED
        context, config_path = ran.pop()
        assert (context.name, context.layout.root, config_path) == ("resize", tmp_path, file)
        assert context.is_format_given is bool(given)
