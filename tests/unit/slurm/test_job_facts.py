"""What is read from `scontrol show job -o`."""

from __future__ import annotations

from ray_downloader.slurm.job_facts import JobFacts

LINE = (
    "JobId=2 JobName=rd UserId=a(1) JobState=RUNNING Reason=None ReqNodeList=(null) ExcNodeList=(null) "
    "NodeList=node[2-3] BatchHost=node1 NumNodes=2 Command=/home/a/rd.sbatch a=b StdErr=/home/a/rd-2.out "
    "StdOut=/home/a/rd-2.out Power="
)


def test_state_nodes_and_log_are_read() -> None:
    assert JobFacts.parse(LINE) == JobFacts("RUNNING", "node1", "node[2-3]", "/home/a/rd-2.out")


def test_a_controller_that_does_not_answer_leaves_the_facts_empty() -> None:
    assert JobFacts.parse("") == JobFacts("", "", "", "")
