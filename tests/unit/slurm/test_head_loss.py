"""A job whose first node is lost is cancelled, and says why; every other job goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.slurm import head_loss
from ray_downloader.slurm.head_loss import end_job_when_head_is_lost, is_head_lost
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


def test_the_job_is_cancelled_once_slurm_has_seen_the_loss(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, polls = tmp_path / "job.out", tmp_path / "polls"
    log.write_text("before\n")
    # The first answer still has the dead node.
    control = fake(
        "scontrol",
        f"""echo x >> {polls}; [ $(wc -l < {polls}) = 1 ] && nodes="n[1-2]" || nodes=n2
            echo "JobId=7 JobState=RUNNING BatchHost=n1 NodeList=$nodes StdOut={log}" """,
    )
    cancelled = fake("scancel", "")
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise _StepEndedError

    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_CPUS_PER_NODE", "2(x2)")
    monkeypatch.setattr(head_loss.time, "sleep", sleep)
    with pytest.raises(_StepEndedError):
        end_job_when_head_is_lost()
    assert pauses == [5.0, 5.0]
    assert cancelled() == ["7"]
    assert log.read_text().startswith("before\nn1, the node of the batch script and of Ray's head, is lost: ")
    assert any("update JobId=7" in call and "is lost" in call for call in control())
