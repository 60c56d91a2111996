"""What the driver reads from the logs of the nodes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_downloader.errors import StartError
from ray_downloader.slurm.commands import ENDED
from ray_downloader.slurm.ray_step import RayStep


@pytest.fixture
def step(tmp_path: Path) -> Iterator[RayStep]:
    """A step of three nodes that runs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield RayStep("10.0.0.1:20000", ("n1", "n2", "n3"), 0, tmp_path, process)
        process.kill()


def test_a_node_that_cannot_run_ray_is_known_by_its_last_line_and_the_others_go_on(step: RayStep) -> None:
    (step.logs / "node-0.log").write_text("Ray runtime started.\n")
    (step.logs / "node-2.log").write_text(f"Ray cannot run here: disk full\n{ENDED}\n")
    assert step.ended_nodes() == [2]
    step.require_running()


def test_a_head_that_ended_is_an_error_with_the_words_of_all_nodes(step: RayStep) -> None:
    (step.logs / "node-0.log").write_text(f"Ray cannot run here: disk full\n{ENDED}\n")
    (step.logs / "node-1.log").write_text("waiting\n")
    with pytest.raises(StartError, match="disk full"):
        step.require_running()


def test_a_step_that_ended_is_an_error(step: RayStep) -> None:
    step.process.kill()
    step.process.wait()
    with pytest.raises(StartError, match="Ray ended on the nodes of the job"):
        step.require_running()
