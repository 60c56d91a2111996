"""Jobs in the forms that sites use: arrays, tasks and CPUs as the user likes, `salloc`, plain commands in a job."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support.running import RunningOrigin
from tests.support.slurm import SCRIPT, submit, within
from tests.support.slurm_runs import (
    DOWNLOAD_ONLY,
    arguments,
    assert_nothing_left,
    assert_settled_once,
    requests_of,
    wait_for_requests,
)

pytestmark = [pytest.mark.slurm, pytest.mark.slurm_soak]
TASK = "${oc.env:SLURM_ARRAY_TASK_ID}"


#: What site files do that must not reach the program: activate scripts take arguments, others set options of the shell.
SITE_FILE = """\
echo "the site's file, with $# arguments"
set -- changed arguments
set -eu
cd /
export OF_THE_SITE=1
"""


def test_a_drain_concerns_one_element_of_an_array_only_also_beside_a_finished_one(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    """The first element that starts has the array's number as its own, by which Slurm would requeue all of them."""
    script = shared_folder / "my jobs" / SCRIPT.name
    script.parent.mkdir()
    shutil.copy(SCRIPT, script)
    (script.parent / "site.env").write_text(SITE_FILE)
    for task in (1, 2):
        arguments(shared_folder, slurm_origin, f"list_{task}", rows=1600, rate_rps=1.0)
    run = arguments(shared_folder, slurm_origin, "any", rows=1, rate_rps=1.0)[2:]
    run += [f"path_to_input=list_{TASK}.txt", f"path_to_output=list_{TASK}", "downloader_parameters.num_downloads=2"]
    options = ("--array=1-2", "--nodes=1", "--exclusive")
    array = submit(shared_folder, *run, DOWNLOAD_ONLY, options=options, script=script)
    for task in (1, 2):
        wait_for_requests(slurm_origin, f"list_{task}", 60)
    elements = {task: array.element(task) for task in (1, 2)}
    drained = next(task for task, element in elements.items() if element.field("JobId") == array.number)
    elements[drained].drain()
    within(90, partial(elements[drained].has, "Restarts", "1"), "a restart of the drained element")
    sibling = elements[3 - drained]
    assert sibling.field("JobState") == "RUNNING"
    assert sibling.wait(180) == "COMPLETED 0:0", sibling.log
    elements[drained].drain()
    within(90, partial(elements[drained].has, "Restarts", "2"), "a restart beside a finished element")
    assert elements[drained].wait(180) == "COMPLETED 0:0", elements[drained].log
    assert sibling.field("Restarts") == "0"
    for task, element in elements.items():
        assert "the site's file, with 0 arguments" in element.log
        assert f"(element {task} of array {array.number})" in element.log
        assert_settled_once(shared_folder, f"list_{task}", rows=1600)
        assert requests_of(slurm_origin, f"list_{task}") == 1600
        assert_nothing_left(shared_folder, f"list_{task}", element, idle_nodes)


def test_of_an_array_on_one_folder_one_element_wins_and_the_others_say_4(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    run = arguments(shared_folder, slurm_origin, "one", rows=200, rate_rps=1.0)
    array = submit(shared_folder, *run, DOWNLOAD_ONLY, options=("--array=1-2", "--nodes=1", "--exclusive"))
    ended = {array.element(task).wait(150) for task in (1, 2)}
    assert ended == {"COMPLETED 0:0", "FAILED 4:0"}
    assert_settled_once(shared_folder, "one", rows=200)


@pytest.mark.parametrize("options", [("-N", "2", "-n", "4"), ("-n", "4")], ids=["nodes and tasks", "tasks"])
def test_tasks_and_cpus_are_the_users(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str], options: tuple[str, ...]
) -> None:
    run = arguments(shared_folder, slurm_origin, "tasks", rows=400, rate_rps=2.0)
    job = submit(shared_folder, *run, "stages=[partition,profile]", options=options)
    assert job.wait(150) == "COMPLETED 0:0", job.log
    assert "-n 4 and -c 1 only decide how many CPUs those are" in job.log
    assert "profile: 4 MPI ranks on " in job.log


@pytest.mark.parametrize("options", [("--ntasks=1",), ("--cpus-per-task=2", "--mem=600M")], ids=["cpus", "memory"])
def test_a_plain_command_in_a_job_keeps_to_the_jobs_cpus_and_memory(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str], options: tuple[str, ...]
) -> None:
    run = arguments(shared_folder, slurm_origin, "plain", rows=400, rate_rps=10.0)
    job = submit(shared_folder, *run, "cluster=local", options=("--nodes=1", *options))
    assert job.wait(150) == "COMPLETED 0:0", job.log
    ranks = "2 MPI ranks started by" if "--cpus-per-task=2" in options else "one rank, as there is work for only one"
    assert ranks in job.log
    assert "Ray: 1 nodes, 1 tasks at once" in job.log, "of 400 MB each"


def in_salloc(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an allocation of two nodes."""
    return subprocess.run(
        ["salloc", "--nodes=2", "--cpus-per-task=2", "--time=10", *command],
        cwd=folder, env=os.environ, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip


def test_salloc_runs_it_through_srun_and_says_so_on_the_login_node(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    run = arguments(shared_folder, slurm_origin, "salloc", rows=400, rate_rps=3.0)
    program = [sys.executable, "-m", "ray_downloader", "cluster=slurm", *run]
    on_login_node = in_salloc(shared_folder, *program)
    assert on_login_node.returncode == 2
    assert "begin the command with `srun --overlap" in on_login_node.stderr
    assert not (shared_folder / "salloc").exists()
    done = in_salloc(shared_folder, "srun", "--mpi=none", "--nodes=1", "--ntasks=1", *program)
    assert done.returncode == 0, done.stderr
    assert "4 MPI ranks on 2 nodes" in done.stderr
    assert "Ray: 2 nodes" in done.stderr
    assert_settled_once(shared_folder, "salloc", rows=400)


def test_a_job_of_its_own_words_runs_it_too(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    """`sbatch --wrap` beside an interpreter of the user's, with blanks in the paths."""
    folder = shared_folder / "a run"
    folder.mkdir()
    run = arguments(folder, slurm_origin, "wrap", rows=200, rate_rps=2.0)
    command = shlex.join([sys.executable, "-m", "ray_downloader", "cluster=slurm", *run, "path_to_output=my images"])
    done = subprocess.run(
        ["sbatch", "--wait", "--nodes=2", "--cpus-per-task=2", "--time=10", f"--wrap={command}"],
        cwd=folder, env=os.environ, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, "".join(path.read_text() for path in folder.glob("*.out"))
    assert_settled_once(folder, "my images", rows=200)


def test_one_task_in_a_job_runs_on_that_node_with_its_cpus(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    """As from a shell that `srun --pty` gives."""
    run = arguments(shared_folder, slurm_origin, "task", rows=400, rate_rps=2.0)
    done = subprocess.run(
        ["srun", "--nodes=1", "--ntasks=1", "--cpus-per-task=2", "--time=10", sys.executable, "-m", "ray_downloader",
         "cluster=slurm", *run],
        cwd=shared_folder, env=os.environ, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 MPI ranks on 1 nodes" in done.stderr
    assert "Ray: 1 nodes, 2 tasks at once" in done.stderr
    assert_settled_once(shared_folder, "task", rows=400)
