"""What a tool says at its end, and the summary of one that ended while its result was put in place."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from ray_downloader.errors import UserError
from ray_downloader.tools.engine import run_tool, show
from tests.support.stored import StoredRun, received, row, stage_here


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
    assert run_tool(tool.context, console) == 0
    summary = json.loads((tool.context.folder / "summary.json").read_text())
    assert (summary["too_small"], summary["applied_batches"]) == (3, 3)
    assert len(run.images()) == 3
    assert run_tool(tool.context, console) == 0, "the same command finds its result in place"
    with pytest.raises(UserError, match="the result of size_based is in place"):
        run_tool(run.tool("size_based", threshold_size=500, apply=True).context, console)
    assert run_tool(run.tool("size_based", undo=True).context, console) == 0
    assert {path: path.read_bytes() for path in run.layout.images.rglob("*.parquet")} == before
