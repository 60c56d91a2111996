"""Submits the sbatch script as a user does, and asks Slurm how it went."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.running import CHECKOUT

SCRIPT = CHECKOUT / "slurm" / "ray_downloader.sbatch"
UNDER_WAY = {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED", ""}


def ask(*command: str) -> str:
    """What a command of Slurm prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def within(timeout_s: float, is_so: Callable[[], bool], what: str) -> None:
    """Wait until something is so, or fail and say what was waited for."""
    until_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.3)


@dataclass(frozen=True, slots=True)
class Job:
    """A submitted job.

    Args:
        folder: Where it was submitted, and where its log lies.
    """

    number: str
    folder: Path

    @property
    def log(self) -> str:
        """What it said so far."""
        path = Path(self.field("StdOut"))
        return path.read_text("utf-8") if path.exists() else ""

    def element(self, task: int) -> Job:
        """An element of this array."""
        return Job(f"{self.number}_{task}", self.folder)

    def field(self, name: str) -> str:
        """A field of `scontrol show job`."""
        found = re.search(rf"\b{name}=(\S*)", ask("scontrol", "show", "job", "-o", self.number))
        assert found, f"Slurm says no {name} of job {self.number}"
        return found[1]

    def has(self, name: str, value: str) -> bool:
        """Whether a field of `scontrol show job` has that value."""
        return self.field(name) == value

    def wait_for_line(self, pattern: str, timeout_s: float = 180) -> None:
        """Until the log has a line that matches; fails where the job ends before."""

        def is_there() -> bool:
            if re.search(pattern, self.log):
                return True
            assert self.field("JobState") in UNDER_WAY, f"ended without {pattern!r}:\n{self.log}"
            return False

        within(timeout_s, is_there, f"{pattern!r} in the log")

    def wait(self, timeout_s: float = 240) -> str:
        """Until the job has ended.

        Returns:
            State and exit code, such as `COMPLETED 0:0`.
        """
        within(timeout_s, lambda: self.field("JobState") not in UNDER_WAY, "the end of the job")
        return f"{self.field('JobState')} {self.field('ExitCode')}"

    def drain(self) -> None:
        """What `--signal=B:USR1@...` does ahead of the time limit, now."""
        ask("scancel", "--batch", "--signal=USR1", self.number)

    def cancel(self) -> None:
        """`scancel`."""
        ask("scancel", self.number)


#: The shape of a job on all nodes of the testbed, and on two of them.
THREE_NODES = ("--nodes=3", "--cpus-per-task=2")
TWO_NODES = ("--nodes=2", "--cpus-per-task=2")


def submit(
    folder: Path, *arguments: str, options: tuple[str, ...] = THREE_NODES, script: Path = SCRIPT, **environment: str
) -> Job:
    """Submit the script with the program's arguments.

    Args:
        folder: Seen by all nodes.
        options: Of sbatch.
        environment: Variables of the job, as `site.env` would set them.
    """
    command = ["sbatch", "--parsable", "--time=10", *options, str(script), *arguments]
    variables = {**os.environ, "RAY_DOWNLOADER_PYTHON": sys.executable, **environment}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return Job(done.stdout.strip().partition(";")[0], folder)


def on_nodes(nodes: Sequence[str], *command: str) -> str:
    """What a command prints on nodes, beside the jobs that run there."""
    step = ["srun", f"--nodes={len(nodes)}", f"--nodelist={','.join(nodes)}", "--overlap", "--mpi=none", "--quiet"]
    return ask(*step, *command)


def in_job(job: Job, node: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a node of a job, within the job."""
    step = ["srun", f"--jobid={job.number}", "--overlap", "--nodes=1", "--ntasks=1", "--mpi=none"]
    return subprocess.run(
        [*step, f"--nodelist={node}", *command], capture_output=True, text=True, check=False, timeout=150
    )


def end_jobs_of(folder: Path) -> None:
    """Cancel the jobs that were submitted in a folder, and print their logs for the report of a failed test."""
    listing = ask("squeue", "-h", "-o", "%i %Z").splitlines()
    for number, work_dir in (line.split(maxsplit=1) for line in listing):
        if Path(work_dir) == folder:
            ask("scancel", number)
    for log in sorted(folder.glob("*.out")):
        sys.stdout.write(f"{log.name}:\n{log.read_text('utf-8', 'replace')}")


def processes_of(job: Job, nodes: list[str]) -> str:
    """Processes that a job left on its nodes: command lines that name its scratch folders, which all of Ray's do."""
    return on_nodes(nodes, "sh", "-c", f"ps axww -o args | grep '[r]d-{job.field('JobId')}-' || true")
