"""What Slurm reports about a running job: parses `scontrol show job -o`."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One job.

    Args:
        state: `RUNNING`, or `COMPLETING` and the like for a job that is being cancelled.
        batch_host: Node of the batch script.
        nodes: The job's nodes in Slurm's short form, except those that were lost.
        log: The job's output file.
    """

    state: str
    batch_host: str
    nodes: str
    log: str

    @classmethod
    def parse(cls, text: str) -> JobFacts:
        """Parse the line; fields that it lacks are empty."""
        fields = dict(re.findall(r"(?:^|\s)(\w+)=(\S*)", text))
        return cls(*(fields.get(name, "") for name in ("JobState", "BatchHost", "NodeList", "StdOut")))


def ask_job(job_id: int) -> JobFacts:
    """The controller's current answer; empty facts if it does not answer."""
    return JobFacts.parse(output_of("scontrol", "show", "job", "-o", str(job_id)))


def expand_nodes(nodes: str = "") -> list[str]:
    """Expand Slurm's short form into names of nodes; by default that of the job of this process."""
    return output_of("scontrol", "show", "hostnames", *([nodes] if nodes else [])).split()


def output_of(*command: str) -> str:
    """The output of a command; empty if it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
