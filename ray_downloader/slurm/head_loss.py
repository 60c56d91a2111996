"""The case that Slurm leaves to us: the node of the batch script dies, and the job has no script any more.

With `--no-kill` Slurm takes the dead node out of the job and lets the others run to the time limit (seen with 22.05).
A node whose Ray ended for want of its head therefore asks Slurm, and ends the job once Slurm has seen the loss.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from ray_downloader.slurm.job_facts import JobFacts, ask_job, expand_nodes

POLL_INTERVAL_S = 5.0


def end_job_when_head_is_lost(job_id: int) -> None:
    """Wait until Slurm says that the batch script's node is lost, then say so in the job's log and cancel the job.

    Returns only by an exception: in every other case the step ends, and this process with it.
    """
    while True:
        facts = ask_job(job_id)
        if is_head_lost(facts):
            loss = f"{facts.batch_host}, the node of the batch script and of Ray's head, is lost"
            with Path(facts.log).open("a", encoding="utf-8") as log:
                log.write(f"{loss}: this job ends here. What is settled is kept; submit it again to continue.\n")
            for command in (["scontrol", "update", f"JobId={job_id}", f"Comment={loss}"], ["scancel", str(job_id)]):
                subprocess.run(command, check=False)
        time.sleep(POLL_INTERVAL_S)


def is_head_lost(facts: JobFacts) -> bool:
    """Whether the job runs on without the node of its batch script."""
    nodes = expand_nodes(facts.nodes)  # empty where Slurm does not answer just now
    return facts.state == "RUNNING" and bool(nodes) and facts.batch_host not in nodes
