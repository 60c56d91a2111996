"""What Slurm reports about a running job: parses `scontrol show job -o`, and knows by which name to ask.

Every element of an array has a number of its own, but the number of one of them is also that of the whole array: Slurm
would requeue or cancel all of them by it. So an element is always named `ARRAY_TASK`.
"""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass

from ray_downloader.slurm.allocation import Allocation
from ray_downloader.slurm.hostlist import expand_hostlist

#: A controller that restarts, or is busy, answers some seconds later.
_PAUSES_S = (1.0, 3.0, 6.0)
_SILENT = re.compile(r"Unable to contact|timed out|Connection|Socket", re.IGNORECASE)
_UNDER_WAY = {"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"}


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One job.

    Args:
        job_id: Its number; empty if Slurm does not answer.
        state: `RUNNING`, or `COMPLETING` and the like for a job that is being cancelled.
        batch_host: Node of the batch script.
        nodes: The job's nodes in Slurm's short form, except those that were lost.
        log: The job's output file.
    """

    job_id: str
    state: str
    batch_host: str
    nodes: str
    log: str

    @classmethod
    def parse(cls, text: str) -> JobFacts:
        """Parse one line; fields that it lacks are empty."""
        found = re.findall(r"(?:^|\s)(JobId|JobState|BatchHost|NodeList|StdOut)=(.*?)(?=\s\w[\w:/]*=|\s*$)", text)
        fields = dict(reversed(found))  # the first of each: a script's arguments come later
        names = ("JobId", "JobState", "BatchHost", "NodeList", "StdOut")
        return cls(*(fields.get(name, "") for name in names))

    def node_names(self) -> list[str]:
        """Names of the job's nodes, without those that were lost; none if Slurm did not answer."""
        return expand_hostlist(self.nodes)


def slurm_name(allocation: Allocation) -> str:
    """The name by which Slurm knows this very job.

    A job that an element of an array submitted has inherited the variables of that element. If Slurm does not answer,
    its number names it, unless it is also that of the array.
    """
    if allocation.element is None:
        return str(allocation.job_id)
    array, task = allocation.element
    name = f"{array}_{task}"
    facts = ask_job(name)
    if facts.state and facts.job_id in {"", str(allocation.job_id)}:
        return name
    return name if array == allocation.job_id else str(allocation.job_id)


def ask_job(name: str) -> JobFacts:
    """The controller's answer, asked again if it is silent; empty facts if it does not answer."""
    text = output_of("scontrol", "show", "job", "-o", name)
    for pause_s in _PAUSES_S:
        if text:
            break
        time.sleep(pause_s)
        text = output_of("scontrol", "show", "job", "-o", name)
    return JobFacts.parse(next(iter(text.splitlines()), ""))


def told_slurm(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm, again if the controller does not answer at the moment."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for pause_s in _PAUSES_S:
        if not done.returncode or not _SILENT.search(done.stderr):
            break
        time.sleep(pause_s)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done


def is_over(job: str) -> bool:
    """Whether Slurm states that a job has ended, or no longer knows it; False if it does not answer."""
    command = ["scontrol", "show", "job", "-o", job]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    facts = [JobFacts.parse(line) for line in answer.stdout.splitlines()]
    states = [found.state for found in facts if found.job_id == job]
    return "Invalid job id" in answer.stderr or (bool(states) and states[0] not in _UNDER_WAY)


def output_of(*command: str) -> str:
    """The output of a command; empty if it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
