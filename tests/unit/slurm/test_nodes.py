"""Which nodes of a job can work, with an `srun` that behaves like 22.05's."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import StartError, UserError
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.slurm.allocation import Allocation, Node
from ray_downloader.slurm.node_check import main as check_node
from ray_downloader.slurm.nodes import Answers, usable_nodes
from tests.unit.slurm.conftest import Fake

JOB = Allocation(7, (Node("n1", 2), Node("n2", 2), Node("n3", 4)), own_node="n1")
ALL_READY = 'for n in $(echo "$@" | sed "s/.*--nodelist=\\([^ ]*\\).*/\\1/" | tr , " "); do echo $n ready; done'


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    return RunLayout(tmp_path, OutputStructure())


def of_slurm(nodes: str) -> str:
    return f'echo "JobId=7 JobState=RUNNING NodeList={nodes} BatchHost=n1"'


def test_all_nodes_of_a_healthy_job_are_usable_and_the_proof_is_removed(fake: Fake, layout: RunLayout) -> None:
    fake("scontrol", of_slurm("n[1-3]"))
    fake("srun", ALL_READY)
    assert usable_nodes(JOB, layout) == JOB
    assert not [path for path in layout.root.iterdir() if path.name.startswith(".shared")]


def test_a_job_on_one_node_needs_no_step(fake: Fake, layout: RunLayout) -> None:
    fake("scontrol", of_slurm("n1"))
    calls = fake("srun", "exit 1")
    assert usable_nodes(JOB.only(["n1"]), layout).names == ("n1",)
    assert calls() == []


def test_a_node_that_slurm_has_lost_is_left_out_by_name(
    fake: Fake, layout: RunLayout, caplog: pytest.LogCaptureFixture
) -> None:
    fake("scontrol", of_slurm("n[1,3]"))
    calls = fake("srun", ALL_READY)
    assert usable_nodes(JOB, layout).names == ("n1", "n3")
    assert "Slurm has lost n2" in caplog.text
    assert "--nodelist=n1,n3" in calls()[0]


def test_a_node_that_slurm_still_counts_but_cannot_reach_is_left_out(
    fake: Fake, layout: RunLayout, caplog: pytest.LogCaptureFixture
) -> None:
    """`srun` then ends the step on the other nodes, too, sometimes before they answered."""
    fake("scontrol", of_slurm("n[1-3]"))
    failure = "srun: error: Task launch for StepId=7.0 failed on node n3: Communication connection failure"
    calls = fake("srun", f'case "$*" in *n3*) echo n1 ready; echo "{failure}" >&2; exit 1 ;; *) {ALL_READY} ;; esac')
    assert usable_nodes(JOB, layout).names == ("n1", "n2")
    assert "node n3 cannot be used, the job goes on without it: srun: error: Task launch" in caplog.text
    assert len(calls()) == 2


def test_a_node_without_the_environment_is_left_out_with_the_reason(
    fake: Fake, layout: RunLayout, caplog: pytest.LogCaptureFixture
) -> None:
    fake("scontrol", of_slurm("n[1-3]"))
    reason = "slurmstepd-n2: error: execve(): /venv/bin/python: No such file or directory"
    words = f'echo "srun: error: n2: task 1: Exited with exit code 2" >&2; echo "{reason}" >&2; exit 2'
    fake("srun", f'echo n1 ready; echo n3 ready; case "$*" in *n2*) {words} ;; esac')
    assert usable_nodes(JOB, layout).names == ("n1", "n3")
    assert f"the job goes on without it: {reason}" in caplog.text


def test_a_folder_that_is_not_shared_is_refused_before_any_work(fake: Fake, layout: RunLayout) -> None:
    fake("scontrol", of_slurm("n[1-3]"))
    fake("srun", "echo n1 ready; echo n2 unshared; echo n3 unshared")
    with pytest.raises(UserError, match="is not shared by the nodes of the job: n2, n3 cannot read what n1 writes"):
        usable_nodes(JOB, layout)


def test_a_job_whose_steps_do_not_start_at_all_says_why(fake: Fake, layout: RunLayout) -> None:
    fake("scontrol", of_slurm("n[1-3]"))
    fake("srun", 'echo "srun: error: Unable to create step: Job credential expired" >&2; exit 1')
    with pytest.raises(StartError, match=r"no step runs on n1.*credential expired"):
        usable_nodes(JOB, layout)


def test_a_controller_that_is_silent_loses_no_node(
    fake: Fake, layout: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray_downloader.slurm.job_facts.time.sleep", lambda _: None)
    fake("scontrol", "exit 1")
    fake("srun", ALL_READY)
    assert usable_nodes(JOB, layout) == JOB


@pytest.mark.parametrize(
    "line",
    [
        "srun: error: Task launch for StepId=5.0 failed on node node3: Communication connection failure",
        "srun: error: Node failure on node3",
        "srun: error: Unable to contact node node3",
        "srun: error: Node failure on node[3-3]",
    ],
)
def test_srun_names_a_lost_node_in_several_ways(line: str) -> None:
    assert Answers.parse("", line).failed == {"node3"}


def test_a_node_proves_the_folder_by_what_is_in_the_file(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    proof.write_text("secret")
    assert check_node(proof, "secret", "n2") == "n2 ready"
    waited: list[float] = []
    assert check_node(proof, "another", "n2", waited.append) == "n2 unshared"
    assert check_node(tmp_path / "none", "secret", "n2", waited.append) == "n2 unshared"
    assert sum(waited) == 30.0
