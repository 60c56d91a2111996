"""What a tool says at its end, and the summary of one that ended while its result was put in place."""

from __future__ import annotations

import errno
import io
import json
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from filelock import FileLock
from rich.console import Console

from ray_downloader.errors import ExitCode, FolderBusyError, RunFolderError, UserError
from ray_downloader.tools.base import TOOLS, Step, Tool, Unit
from ray_downloader.tools.context import ToolContext
from ray_downloader.tools.engine import IN_PLACE, do_unit, run_tool, show
from tests.support.stored import StoredRun, received, row, stage_here
from tests.unit.tools.cluster import HereCluster


def test_the_summary_is_said_as_it_is_and_ends_with_the_folder(tmp_path: Path) -> None:
    text = io.StringIO()
    context = StoredRun(tmp_path).tool("stats").context
    summary = {"plots": "pip install 'ray-downloader[plots]'", "by_server": {"a": 1}}
    show(context, summary, Console(file=text, width=40))
    assert text.getvalue().splitlines() == [
        "stats: plots: pip install 'ray-downloader[plots]'",
        f"stats: results are in: {tmp_path}/tools/stats",
    ]


def test_an_apply_that_broke_off_is_finished_by_the_same_command_with_its_summary(tmp_path: Path) -> None:
    run = StoredRun(tmp_path)
    for number in range(3):
        run.add([row(f"{number}-{size}", received(1, size, size)) for size in (40, 400)], f"s{number}.example")
    before = {path: path.read_bytes() for path in run.layout.images.rglob("*.parquet")}
    console = Console(file=io.StringIO())
    run_tool(run.tool("size_based", threshold_size=100).context, console)
    tool = run.tool("size_based", threshold_size=100, apply=True)
    stage_here(tool)
    obstacle = tool.context.folder / "applied" / "server_name=s1.example"
    obstacle.parent.mkdir()
    obstacle.touch()
    with pytest.raises(OSError, match=r"s1\.example"):
        run_tool(tool.context, console)
    assert len(run.images()) == 5, "one batch is new, two are as they were"
    obstacle.unlink()
    again = run.tool("size_based", threshold_size=100, apply=True, reset="filtering")
    assert run_tool(again.context, console) == 0, "what it has saved of the images is no result that a reset removes"
    summary = json.loads((tool.context.folder / "summary.json").read_text())
    assert (summary["too_small"], summary["applied_batches"]) == (3, 3)
    assert len(run.images()) == 3
    assert run_tool(tool.context, console) == 0, "the same command finds its result in place"
    with pytest.raises(UserError, match="the result of size_based is in place"):
        run_tool(run.tool("size_based", threshold_size=500, apply=True).context, console)
    assert run_tool(run.tool("size_based", undo=True).context, console) == 0
    assert {path: path.read_bytes() for path in run.layout.images.rglob("*.parquet")} == before


def said(context: ToolContext, code: ExitCode = ExitCode.SETTLED) -> list[str]:
    """What running the tool prints, without its name."""
    text = io.StringIO()
    assert run_tool(context, Console(file=text, width=40)) is code
    return [line.removeprefix(f"{context.name}: ") for line in text.getvalue().splitlines()]


def test_a_tool_does_its_units_and_says_and_keeps_what_came_of_them(run: StoredRun, cluster: HereCluster) -> None:
    context = run.tool("resize", new_resize_size=16, max_nodes=3, workers_per_node=2, cpu_per_worker=0.5).context
    lines = said(context)
    assert lines == ["new resize size: 16", "images: 5", "failed: 0", f"results are in: {context.folder}"]
    summary = {"tool": "resize", "new_resize_size": 16, "images": 5, "failed": 0}
    text = (context.folder / "summary.json").read_text("utf-8")
    assert json.loads(text) == summary
    assert text.startswith('{\n  "tool"')
    assert text.endswith("}\n")
    ((options, name),) = cluster.started
    assert (options.max_nodes, options.workers_per_node, options.cpu_per_worker) == (3, 2, 0.5)
    assert (name, cluster.pools) == (("resize",), [(2, 0.5)])


def test_units_that_are_done_are_not_done_again_and_count(run: StoredRun, cluster: HereCluster) -> None:
    said(run.tool("resize").context)
    assert len(cluster.done) == 2
    assert "images: 5" in said(run.tool("resize").context)
    assert (len(cluster.done), len(cluster.started)) == (2, 1), "Ray starts only where a unit is left"
    run.add([row("n", received(9))])
    assert "images: 3" in said(run.tool("resize").context)
    assert len(cluster.done) == 3


def test_how_much_is_done_already_is_said_where_something_is_left(
    run: StoredRun, cluster: HereCluster, caplog: pytest.LogCaptureFixture
) -> None:
    context = run.tool("resize", new_resize_size=16).context
    with caplog.at_level(logging.INFO, logger="ray_downloader"):
        said(context)
        said(context)
        assert "are done already" not in caplog.text, "nothing was, and then everything"
        (one, _) = sorted((context.folder).rglob("_completed"))
        one.unlink()
        said(context)
    assert "resize: 1 of 2 units are done already" in caplog.text


def test_a_stopped_tool_continues_with_the_same_command(run: StoredRun, cluster: HereCluster) -> None:
    cluster.stops_after = 1
    context = run.tool("resize").context
    assert said(context, ExitCode.STOPPED) == ["stopped; the same command continues"]
    assert not (context.folder / "summary.json").exists()
    cluster.stops_after, cluster.is_stopped = None, False
    assert "images: 5" in said(context)
    assert len(cluster.done) == 2


def test_reset_starts_over_in_a_folder_that_stays_locked(run: StoredRun, cluster: HereCluster) -> None:
    context = run.tool("resize").context
    said(context)
    (context.folder / "stray").mkdir()
    (context.folder / "stray.txt").touch()
    lock = (context.folder / ".lock").stat().st_ino
    said(run.tool("resize", reset="filtering").context)
    assert len(cluster.done) == 4
    assert (context.folder / ".lock").stat().st_ino == lock
    assert not (context.folder / "stray").exists()
    assert not (context.folder / "stray.txt").exists()


def test_apply_and_undo_are_two_commands(run: StoredRun, cluster: HereCluster) -> None:
    before = run.images()
    applied = run.tool("resize", new_resize_size=16, apply=True).context
    assert said(applied)[-2:] == ["applied batches: 2", f"results are in: {applied.folder}"]
    assert all(max(one["resized_size"]) == 16 for one in run.images().values())
    assert said(applied) == [IN_PLACE]
    with pytest.raises(UserError, match="the result of resize is in place"):
        said(run.tool("resize", new_resize_size=8).context)
    assert said(run.tool("resize", undo=True).context) == ["undone, 2 batches are as they were before"]
    assert run.images() == before


def test_an_undo_that_was_killed_is_finished_before_the_result_is_applied_again(
    run: StoredRun, cluster: HereCluster
) -> None:
    before = run.images()
    applied = run.tool("resize", new_resize_size=16, apply=True).context
    said(applied)
    (first, _) = sorted((applied.folder / "applied").rglob("successes.parquet"))
    (applied.folder / "applied" / "undoing").touch()
    (applied.folder / "applied" / "_completed").unlink()
    first.replace(run.layout.images / first.relative_to(applied.folder / "applied"))
    lines = said(applied)
    assert lines[0] == "undone, 2 batches are as they were before" and "applied batches: 2" in lines
    assert all(max(one["resized_size"]) == 16 for one in run.images().values())
    assert said(run.tool("resize", undo=True).context) == ["undone, 2 batches are as they were before"]
    assert run.images() == before


def test_a_tool_with_nothing_to_publish_says_so_before_it_works(run: StoredRun, cluster: HereCluster) -> None:
    with pytest.raises(UserError, match="tool=stats changes no images"):
        said(run.tool("stats", apply=True).context)
    assert not (run.layout.tools / "stats" / "stats.json").exists()


class Watched(Tool):
    """Notes in what order it is called, and changes images unless it is not meant to."""

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self.calls: list[str] = []

    def work(self) -> Step | None:
        self.calls.append("work")
        return None

    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        self.calls.append("finish")
        return {"place": "Zürich"}


class Changing(Watched):
    def staged(self) -> Step | None:
        self.calls.append("staged")
        return None


@pytest.mark.parametrize(
    ("kind", "apply", "calls"),
    [
        (Watched, False, ["work", "finish"]),
        (Changing, False, ["work", "finish"]),
        (Changing, True, ["work", "finish", "staged"]),
    ],
    ids=["reads only", "only lists", "changes images"],
)
def test_images_are_staged_only_to_be_applied_and_when_all_else_is_done(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch, kind: type[Watched], apply: bool, calls: list[str]
) -> None:
    made: list[Watched] = []

    def make(context: ToolContext) -> Tool:
        made.append(kind(context))
        return made[-1]

    context = run.tool("stats", apply=apply).context
    monkeypatch.setattr(TOOLS, "get", lambda _: make)
    said(context)
    assert made[0].calls == calls
    assert "Zürich" in (context.folder / "summary.json").read_text("utf-8"), "people read it"


def test_the_folder_of_a_tool_and_of_a_run_is_used_by_one_process(run: StoredRun, cluster: HereCluster) -> None:
    context = run.tool("size_based", threshold_size=30).context
    context.folder.mkdir(parents=True)
    with FileLock(context.folder / ".lock"), pytest.raises(FolderBusyError, match="another process runs size_based"):
        said(context)
    said(context)
    with FileLock(run.layout.lock_file), pytest.raises(FolderBusyError, match="another run holds"):
        said(run.tool("size_based", threshold_size=30, apply=True).context)
    assert sorted(run.images()) == list("abcde")


def test_a_unit_that_was_half_done_is_begun_anew_and_marked_last(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "unit", (), "stamp", "payload")
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "half").touch()

    def function(given: Unit) -> Counter[str]:
        assert given is unit
        assert list(unit.folder.iterdir()) == []
        return Counter(images=2)

    assert do_unit(function, unit) == {"images": 2}
    assert unit.counts() == {"images": 2}


@pytest.mark.parametrize("error", [OSError("Corrupt snappy"), pa.ArrowInvalid("odd levels")], ids=["codec", "levels"])
def test_a_unit_that_reads_a_damaged_table_says_so(run: StoredRun, error: Exception) -> None:
    def fails(_: Unit) -> Counter[str]:
        raise error

    batches = tuple(run.tool("stats").context.batches)
    unit = Unit(run.root / "unit", batches, "stamp")
    with pytest.raises(type(error), match=str(error)):  # every table is whole, so it is about something else
        do_unit(fails, unit)
    content = bytearray(batches[1].path.read_bytes())
    content[4:400] = bytes(396)
    batches[1].path.write_bytes(content)
    with pytest.raises(RunFolderError, match=f"{batches[1].path} is damaged; .* verify=true"):
        do_unit(fails, unit)
    with pytest.raises(OSError, match="full"):
        do_unit(_full, unit)
    assert unit.counts() is None


def _full(_: Unit) -> Counter[str]:
    raise OSError(errno.ENOSPC, "full")


def test_a_unit_that_fails_is_not_marked(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "unit", (), "stamp")
    with pytest.raises(ZeroDivisionError):
        do_unit(lambda _: Counter(images=1 // 0), unit)
    assert unit.counts() is None


def test_lists_and_tables_of_a_summary_are_in_its_file_only(tmp_path: Path) -> None:
    text = io.StringIO()
    context = StoredRun(tmp_path).tool("stats").context
    show(context, {"tool": "stats", "too_small": 3, "rows": [1], "by_server": {}}, Console(file=text, width=200))
    assert text.getvalue().splitlines() == ["stats: too small: 3", f"stats: results are in: {tmp_path}/tools/stats"]
