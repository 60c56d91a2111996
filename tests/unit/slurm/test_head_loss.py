"""A job whose first node is lost is requeued, and says why; every other job goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.slurm import head_loss
from ray_downloader.slurm.allocation import Allocation
from ray_downloader.slurm.head_loss import is_head_lost, requeue_when_head_is_lost
from ray_downloader.slurm.job_facts import JobFacts
from tests.unit.slurm.conftest import Fake


class _StepEndedError(Exception):
    """The step, and with it this process, ends."""


@pytest.mark.parametrize(
    ("state", "nodes", "is_lost"),
    [
        ("RUNNING", "n[2-3]", True),
        ("RUNNING", "n[1-2]", False),
        ("COMPLETING", "n[2-3]", False),
        ("RUNNING", "", False),
    ],
)
def test_the_head_is_lost_if_the_running_job_has_other_nodes_only(state: str, nodes: str, is_lost: bool) -> None:
    assert is_head_lost(JobFacts("7", state, "n1", nodes, "log")) is is_lost


@pytest.mark.parametrize(
    ("own_node", "restarts", "requeued", "cancelled"),
    [("n2", 1, ["requeue 7"], []), ("n2", 2, [], ["7"]), ("n3", 1, [], [])],
    ids=["run left", "no run left", "second guard"],
)
def test_the_first_guard_requeues_the_job_once_slurm_has_seen_the_loss(
    fake: Fake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_node: str,
    restarts: int,
    requeued: list[str],
    cancelled: list[str],
) -> None:
    log, polls = tmp_path / "job.out", tmp_path / "polls"
    log.write_text("before\n")
    # The first answer still has the dead node.
    control = fake(
        "scontrol",
        f"""echo x >> {polls}; [ $(wc -l < {polls}) = 1 ] && nodes="n[1-3]" || nodes="n[2-3]"
            echo "JobId=7 JobState=RUNNING BatchHost=n1 NodeList=$nodes StdOut={log}" """,
    )
    cancel = fake("scancel", "")
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise _StepEndedError

    monkeypatch.setattr(head_loss.time, "sleep", sleep)
    with pytest.raises(_StepEndedError):
        requeue_when_head_is_lost(Allocation(7, (), restarts=restarts, own_node=own_node), num_downloads=2)
    assert pauses == [10.0, 10.0]
    assert cancel() == cancelled
    assert [call for call in control() if call.startswith("requeue")] == requeued
    sentence = "before\nn1, the node of the batch script and of Ray's head, is lost: "
    assert log.read_text().startswith(sentence) is (own_node == "n2")
