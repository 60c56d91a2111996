"""What is read from `scontrol show job -o`, and by which name a job is asked for."""

from __future__ import annotations

import pytest

from ray_downloader.slurm import job_facts
from ray_downloader.slurm.allocation import Allocation
from ray_downloader.slurm.job_facts import JobFacts, ask_job, is_over, slurm_name, told_slurm
from tests.unit.slurm.conftest import Fake

LINE = (
    "JobId=2 JobName=rd UserId=a(1) JobState=RUNNING Reason=None ReqNodeList=(null) ExcNodeList=(null) "
    "NodeList=node[2-3] BatchHost=node1 NumNodes=2 Command=/home/a/my jobs/rd.sbatch JobState=no NodeList=x "
    "StdErr=/home/a/my jobs/rd-2.out StdOut=/home/a/my jobs/rd-2.out Power="
)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(job_facts.time, "sleep", waited.append)
    return waited


def test_state_nodes_and_log_are_read_and_arguments_of_the_script_are_not() -> None:
    facts = JobFacts.parse(LINE)
    assert facts == JobFacts("2", "RUNNING", "node1", "node[2-3]", "/home/a/my jobs/rd-2.out")
    assert facts.node_names() == ["node2", "node3"]


def test_a_controller_that_does_not_answer_leaves_the_facts_empty(fake: Fake, pauses: list[float]) -> None:
    calls = fake("scontrol", "exit 1")
    assert ask_job("7") == JobFacts.parse("")
    assert len(calls()) == 4
    assert pauses == [1.0, 3.0, 6.0]


def test_a_controller_that_is_silent_once_is_asked_again(fake: Fake) -> None:
    calls = fake("scontrol", f'[ $(wc -l < "$0.calls") -gt 0 ] && echo "{LINE}"; echo x >> "$0.calls"'.replace(
        '[ $(wc -l < "$0.calls") -gt 0 ]', '[ -e "$0.calls" ]'))  # fmt: skip
    assert ask_job("2").state == "RUNNING"
    assert len(calls()) == 2


@pytest.mark.parametrize(
    ("element", "answer", "name"),
    [
        (None, "JobId=7 JobState=RUNNING", "7"),
        ((7, 1), "JobId=7 ArrayJobId=7 ArrayTaskId=1 JobState=RUNNING", "7_1"),
        ((5, 2), "JobId=7 ArrayJobId=5 ArrayTaskId=2 JobState=RUNNING", "5_2"),
        ((5, 2), "JobId=6 ArrayJobId=5 ArrayTaskId=2 JobState=RUNNING", "7"),
        ((5, 2), "", "7"),
        ((7, 1), "", "7_1"),
    ],
    ids=["no array", "number of the array", "element", "submitted by an element", "silent", "silent, of the array"],
)
def test_slurm_is_told_of_this_very_element(
    fake: Fake, element: tuple[int, int] | None, answer: str, name: str
) -> None:
    fake("scontrol", f'echo "{answer}"' if answer else "exit 1")
    assert slurm_name(Allocation(7, (), element=element)) == name


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        ("slurm_requeue error: Unable to contact slurm controller (connect failure)", 4),
        ("Socket timed out on send/recv operation for job 7", 4),
        ("Requested operation is presently disabled for job 7", 1),
    ],
    ids=["no contact", "timed out", "refused"],
)
def test_a_word_to_a_silent_controller_is_repeated_and_a_refusal_is_not(fake: Fake, words: str, calls: int) -> None:
    called = fake("scontrol", f'echo "{words}" >&2; exit 1')
    assert told_slurm("scontrol", "requeue", "7").returncode == 1
    assert called() == ["requeue 7"] * calls


@pytest.mark.parametrize(
    ("shell", "is_so"),
    [
        ('echo "JobId=7 JobState=RUNNING"', False),
        ('echo "JobId=7 JobState=COMPLETED"', True),
        ('echo "JobId=8 JobState=COMPLETED"; echo "JobId=7 JobState=RUNNING"', False),
        ('echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1', True),
        ('echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1', False),
    ],
    ids=["running", "ended", "sibling ended", "unknown", "silent"],
)
def test_a_job_is_over_only_if_slurm_says_so(fake: Fake, shell: str, is_so: bool) -> None:
    fake("scontrol", shell)
    assert is_over("7") is is_so
