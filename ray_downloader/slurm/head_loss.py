"""Watches over the node of the batch script from another node: `srun` starts this on two other nodes of the job.

With `--no-kill`, Slurm removes a lost node from the job and lets the others run until the time limit (seen with 22.05),
even if the lost one ran the batch script. So the guards ask Slurm, and once it notices such a loss, the first of them
requeues the job. They end with the job, or when their standard input closes, which `srun` forwards from the driver.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from threading import Thread

from ray_downloader.slurm.allocation import Allocation
from ray_downloader.slurm.job_facts import JobFacts, ask_job, slurm_name, told_slurm
from ray_downloader.slurm.requeue import may_requeue

POLL_INTERVAL_S = 10.0


def requeue_when_head_is_lost(allocation: Allocation, num_downloads: int) -> None:
    """Wait until Slurm reports that the node of the batch script is lost, then log that and requeue the job.

    Never returns: Slurm, or the end of the run, ends this process.
    """
    name = slurm_name(allocation)
    while True:
        facts = ask_job(name)
        if is_head_lost(facts) and facts.node_names()[0] == allocation.own_node:
            loss = f"{facts.batch_host}, the node of the batch script and of Ray's head, is lost"
            is_requeued = may_requeue(allocation, num_downloads)
            following = "it is requeued" if is_requeued else "no run is left: submit it again to continue"
            with Path(facts.log).open("a", encoding="utf-8") as log:
                log.write(f"{loss}: this run of the job ends, and {following}. All results so far are kept.\n")
            end = ["scontrol", "requeue", name] if is_requeued else ["scancel", name]
            for command in (["scontrol", "update", f"JobId={name}", f"Comment={loss}"], end):
                told_slurm(*command)
        time.sleep(POLL_INTERVAL_S)


def is_head_lost(facts: JobFacts) -> bool:
    """Whether the job continues without the node of its batch script."""
    nodes = facts.node_names()  # empty if Slurm does not answer at the moment
    return facts.state == "RUNNING" and bool(nodes) and facts.batch_host not in nodes


def end_with_input() -> None:
    """End this process when its standard input closes."""
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    Thread(target=end_with_input, daemon=True).start()
    found = Allocation.from_environ(os.environ)
    assert found is not None
    requeue_when_head_is_lost(found, int(sys.argv[1]))
