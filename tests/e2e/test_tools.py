"""Tools as a user runs them: killed and continued, applied and undone; custom tools; mistakes in one sentence."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ray_downloader import apply_tools
from tests.support.commands import Commands
from tests.support.job import ENVIRONMENT, TIMEOUT_S
from tests.support.stored import StoredRun, received, row

pytestmark = [pytest.mark.ray]

CUSTOM = """
import os
from pathlib import Path
from ray_downloader.tools import (FilterRegister, SchedulerRegister, RunnerRegister, PythonFilterToolBase,
                                  BatchRunner, DefaultScheduler)

@FilterRegister("my_custom_tool")
class MyFilter(PythonFilterToolBase):
    def run(self):
        super().run()

@SchedulerRegister("my_custom_tool")
class MyScheduler(DefaultScheduler):
    def run(self):
        super().run()

@RunnerRegister("my_custom_tool")
class MyRunner(BatchRunner):
    def process(self, batch):
        out = Path(os.environ["OUTPUT_TOOLS_FOLDER"], "my_custom_tool", f"{batch.server_name}.txt")
        out.write_text(os.environ["CONFIG_PATH"] + " " + str(self.config["tools_parameters"]["greeting"]))
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ray_downloader.tools", *arguments]


def run_tool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    run = StoredRun(tmp_path / "out")
    for number in range(40):
        run.add([row(f"{number}-{n}", received(n)) for n in range(60)], f"s{number}.example")
    return run


def resized(run: StoredRun) -> list[Path]:
    return sorted((run.layout.tools / "resize" / "images").glob("*/*/_completed"))


@pytest.mark.thorough
def test_a_drained_and_then_a_killed_tool_continue_and_the_result_can_be_applied_and_undone(
    run: StoredRun, tmp_path: Path, commands: Commands
) -> None:
    arguments = (
        "tool=resize", f"path_to_output={run.root}", "tools_parameters.new_resize_size=32", "cluster.num_cpus=1",
    )  # fmt: skip
    before = {path: path.read_bytes() for path in run.layout.images.rglob("*.parquet")}

    def stop_after(batches: int, signal_number: signal.Signals) -> int:
        with subprocess.Popen(command(*arguments), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
            until = time.monotonic() + 120
            while len(resized(run)) < batches and time.monotonic() < until and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal_number)
            return process.wait(timeout=60)

    def finished() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in resized(run)}

    assert stop_after(1, signal.SIGTERM) == 3
    drained = finished()
    assert stop_after(len(drained) + 3, signal.SIGKILL) == -signal.SIGKILL
    killed = finished()
    assert 0 < len(drained) < len(killed) < 40
    applied = run_tool(*arguments, "tools_parameters.apply=true", cwd=tmp_path)
    assert applied.returncode == 0, applied.stderr
    assert "images: 2400" in applied.stderr
    assert finished().items() >= killed.items() >= drained.items(), "what was done is not done again"
    images = run.images()
    assert len(images) == 2400
    assert {tuple(image["resized_size"]) for image in images.values()} == {(24, 32)}
    summary = json.loads((run.layout.tools / "resize" / "summary.json").read_text())
    assert (summary["images"], summary["failed"], summary["applied_batches"]) == (2400, 0, 40)
    again = commands.run("ray_downloader.tools", arguments, tmp_path)
    assert again.returncode == 2
    assert "undo=true restores the images before it" in again.stderr
    undone = commands.run("ray_downloader.tools", [*arguments, "tools_parameters.undo=true"], tmp_path)
    assert undone.returncode == 0
    assert {path: path.read_bytes() for path in run.layout.images.rglob("*.parquet")} == before


@pytest.mark.thorough
def test_a_custom_tool_of_three_classes_works_from_a_file_and_from_python(run: StoredRun, tmp_path: Path) -> None:
    (tmp_path / "my_custom_tools.py").write_text(CUSTOM)
    config = tmp_path / "config.yaml"
    config.write_text(
        f"path_to_output: {run.root}\ntools_parameters:\n  modules: {tmp_path / 'my_custom_tools.py'}\n"
        "  options: {greeting: hello}\ncluster: {num_cpus: 2}\n"
    )
    assert apply_tools(config, "my_custom_tool") == 0
    written = sorted((run.layout.tools / "my_custom_tool").glob("*.txt"))
    assert len(written) == 40
    assert written[0].read_text() == f"{config} hello"
    assert apply_tools(config, "my_custom_tool") == 0, "a completed tool is not run again"


def test_the_images_of_a_filter_are_dropped_and_come_back(run: StoredRun, tmp_path: Path, commands: Commands) -> None:
    arguments = ("tool=duplication_based", f"path_to_output={run.root}")
    assert run_tool(*arguments, "tools_parameters.apply=true", cwd=tmp_path).returncode == 0
    assert len(run.images()) == 60
    undone = commands.run("ray_downloader.tools", [*arguments, "tools_parameters.undo=true"], tmp_path)
    assert undone.returncode == 0
    assert len(run.images()) == 2400
    assert pq.read_metadata(next(run.layout.images.rglob("*.parquet"))).num_rows == 60


@pytest.mark.xdist_group("commands")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "tool is required: set tool=... to one of: attribution, duplication_based"),
        (["tool=resize"], "path_to_output is required"),
        (["tool=resise", "path_to_output=."], "there is no tool 'resise'; choose one of: attribution"),
        (["tool=resize", "path_to_output=missing"], "is not a folder"),
        (["tool=resize", "path_to_output=."], "contains no finished batch"),
        (["tool=resize", "path_to_output=.", "tools_parameters.new_resize_size=-1"], "new_resize_size=-1"),
        (["tool=resize", "path_to_output=.", "tools_parameters.resize_size=1"], "did you mean"),
        (["tool=stats", "path_to_output=.", "tools_parameters.undo=true"], "no result of stats is in place"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_2(
    tmp_path: Path, commands: Commands, arguments: list[str], sentence: str
) -> None:
    done = commands.run("ray_downloader.tools", arguments, tmp_path)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
