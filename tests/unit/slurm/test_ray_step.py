"""What the driver reads from the logs of the nodes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

from ray_downloader.cluster.head_watch import HeadWatch
from ray_downloader.errors import RayLostError, StartError
from ray_downloader.processes import end_by_input
from ray_downloader.slurm import ray_step
from ray_downloader.slurm.commands import ENDED
from ray_downloader.slurm.ray_step import RayStep, _forwarded


@pytest.fixture
def step(tmp_path: Path) -> Iterator[RayStep]:
    """A step of three nodes that runs; the second one has the head."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield RayStep("10.0.0.1:20000", ("n1", "n2", "n3"), 1, tmp_path, process, HeadWatch(lambda: True))
        process.kill()


def test_a_node_that_cannot_run_ray_is_known_by_its_last_line_and_the_others_go_on(step: RayStep) -> None:
    (step.logs / "node-1.log").write_text("Ray runtime started.\n")
    (step.logs / "node-2.log").write_text(f"Ray cannot run here: disk full\n{ENDED}\n")
    assert step.awaits_nodes(["n2"])
    assert not step.awaits_nodes(["n1.cluster", "n2.cluster"])
    assert step.missing_words(["n1.cluster", "n2.cluster"]) == "n3: Ray cannot run here: disk full"
    step.require_started()
    step.require_running()


def test_a_head_that_does_not_start_is_an_error_with_its_reason(step: RayStep) -> None:
    (step.logs / "node-1.log").write_text(f"Ray cannot run here: disk full\n{ENDED}\n")
    (step.logs / "node-0.log").write_text("waiting\n")
    with pytest.raises(StartError, match=r"Ray ended on the nodes of the job: Ray cannot run here: disk full \(logs: "):
        step.require_started()


def test_a_node_that_is_lost_while_ray_starts_is_no_failure_of_the_start(step: RayStep) -> None:
    step.words.append("srun: error: Task launch for StepId=7.3 failed on node n3: Communication connection failure")
    step.process.kill()
    step.process.wait()
    with pytest.raises(RayLostError, match="Ray did not start, as n3 is lost"):
        step.require_started()


def test_a_node_that_is_lost_while_the_others_join_is_not_waited_for_and_a_silent_one_is_named(step: RayStep) -> None:
    assert step.awaits_nodes(["n1", "n2"])
    assert step.missing_words(["n1", "n2"]) == "n3: no answer"
    assert step.missing_words(["by-another-name", "head"]) == "the others do not answer"
    step.words.append("srun: error: Node failure on n3")
    assert step.awaits_nodes(["n2", "n3"]), "Ray has not noticed yet, and n1 may join"
    assert not step.awaits_nodes(["n1", "n2", "n3"])
    assert step.missing_words(["n1", "n2"]) == "n3 is lost"


def test_a_head_that_dies_is_told_in_its_own_sentence(step: RayStep, caplog: pytest.LogCaptureFixture) -> None:
    sentence = "Ray died: its gcs_server on n2 was killed by SIGKILL (memory in use now: 2.0 GB of 2.0 GB)"
    (step.logs / "node-1.log").write_text("x\n" * 20 + f"{sentence}\ngcs_server.out: last line\n{ENDED}\n")
    with pytest.raises(RayLostError):
        step.require_running()
    assert f"the job has lost its Ray: {sentence} (logs: " in caplog.text
    assert "All results so far are kept" in caplog.text


def test_a_step_that_ended_is_an_error(step: RayStep) -> None:
    step.process.kill()
    step.process.wait()
    with pytest.raises(StartError, match="Ray ended on the nodes of the job: its step ended"):
        step.require_started()
    with pytest.raises(RayLostError):
        step.require_running()


def test_a_head_that_accepts_no_connections_is_lost_after_some_seconds_though_its_step_runs(
    step: RayStep, caplog: pytest.LogCaptureFixture
) -> None:
    listens, now_s = [True], [100.0]
    step = replace(step, watch=HeadWatch(lambda: listens[0], lambda: now_s[0]))
    step.require_running()
    listens[0] = False
    step.require_running()
    now_s[0] += 6.0
    with pytest.raises(RayLostError):
        step.require_running()
    assert "its head at 10.0.0.1:20000 accepts no connections" in caplog.text


def test_a_head_that_answers_again_in_time_is_not_lost(step: RayStep) -> None:
    listens, now_s = [False], [100.0]
    step = replace(step, watch=HeadWatch(lambda: listens[0], lambda: now_s[0]))
    for is_listening, later_s in ((False, 5.9), (True, 0.2), (False, 5.9)):
        listens[0] = is_listening
        step.require_running()
        now_s[0] += later_s
    step.require_running()


def test_the_end_of_ray_is_told_at_once_and_once_whatever_the_driver_waits_for(
    step: RayStep, caplog: pytest.LogCaptureFixture
) -> None:
    was_told = Event()
    caplog.handler.addFilter(lambda record: was_told.set() or True)
    with step.watched():
        assert not caplog.records
        (step.logs / "node-1.log").write_text(f"Ray died: its raylet on n2 ended with exit code 1\n{ENDED}\n")
        assert was_told.wait(30), "without a call of the driver"
        for _ in range(2):
            with pytest.raises(RayLostError):
                step.require_running()
    assert [record.getMessage().partition(" (logs")[0] for record in caplog.records] == [
        "the job has lost its Ray: Ray died: its raylet on n2 ended with exit code 1"
    ]


def test_why_ray_ended_on_another_node_is_told_when_srun_says_that_it_did(
    step: RayStep, caplog: pytest.LogCaptureFixture
) -> None:
    was_told = Event()
    caplog.handler.addFilter(lambda record: was_told.set() or True)
    (step.logs / "node-2.log").write_text(f"Ray cannot run here: disk full\n{ENDED}\n")  # told when it did not join
    with step.watched():
        (step.logs / "node-0.log").write_text(f"Ray died: its raylet on n1 was killed by SIGKILL\n{ENDED}\n")
        step.words.append("srun: error: n1: task 0: Exited with exit code 1")
        assert was_told.wait(30)
        step.require_running()
    assert caplog.messages == ["Ray died: its raylet on n1 was killed by SIGKILL; the run goes on with the other nodes"]


def test_the_last_words_of_srun_are_read_before_its_output_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    says = "import sys; sys.stdin.read(); sys.stderr.write('first\\nlast\\n')"
    with subprocess.Popen([sys.executable, "-c", says], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:

        def logs_slowly(*_: object) -> None:
            process.wait(60)
            time.sleep(0.2)

        monkeypatch.setattr(ray_step, "_log", SimpleNamespace(info=logs_slowly))
        with _forwarded(process) as words:
            end_by_input(process, 60)
    assert words == ["first", "last"]


def test_words_that_come_late_are_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """`srun` waits for a node without power; its output was closed meanwhile, with a traceback in the job's log."""
    monkeypatch.setattr(ray_step, "_LAST_WORDS_S", 0.05)
    program = "(sleep 0.5; echo late >&2; sleep 0.5; echo last >&2) & echo first >&2"
    with (
        subprocess.Popen(["sh", "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process,
        _forwarded(process) as words,
    ):
        process.wait()
    until_s = time.monotonic() + 20.0
    while len(words) < 3 and time.monotonic() < until_s:
        time.sleep(0.05)
    assert words == ["first", "late", "last"]
