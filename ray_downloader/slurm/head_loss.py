"""Ends the job if the node of the batch script dies, which Slurm does not do.

With `--no-kill`, Slurm removes the dead node from the job and lets the others run until the time limit (seen with
22.05). So a node whose Ray ended because it lost its head asks Slurm, and cancels the job once Slurm notices the loss.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from ray_downloader.slurm.allocation import Allocation
from ray_downloader.slurm.job_facts import JobFacts, ask_job, slurm_name

POLL_INTERVAL_S = 5.0


def end_job_when_head_is_lost() -> None:
    """Wait until Slurm reports that the node of the batch script is lost, then log that and cancel the job.

    Never returns: in every other case the step ends, and this process with it.
    """
    allocation = Allocation.from_environ(os.environ)
    assert allocation is not None
    name = slurm_name(allocation)
    while True:
        facts = ask_job(name)
        if is_head_lost(facts):
            loss = f"{facts.batch_host}, the node of the batch script and of Ray's head, is lost"
            with Path(facts.log).open("a", encoding="utf-8") as log:
                log.write(f"{loss}: this job ends here. All results so far are kept; submit it again to continue.\n")
            for command in (["scontrol", "update", f"JobId={name}", f"Comment={loss}"], ["scancel", name]):
                subprocess.run(command, check=False)
        time.sleep(POLL_INTERVAL_S)


def is_head_lost(facts: JobFacts) -> bool:
    """Whether the job continues without the node of its batch script."""
    nodes = facts.node_names()  # empty if Slurm does not answer at the moment
    return facts.state == "RUNNING" and bool(nodes) and facts.batch_host not in nodes
