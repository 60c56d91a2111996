"""One node's part in the Ray step. Ray is a small shell script here, and the node is a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ray_downloader.errors import UserError
from ray_downloader.slurm import ray_node
from ray_downloader.slurm.commands import ENDED, NodePlan
from ray_downloader.slurm.ray_node import _own_address, _remove_leftovers, _run_ray, _within
from ray_downloader.slurm.ray_words import DEATH
from tests.unit.slurm.conftest import Fake

PLAN = NodePlan(0, "10.0.0.1:6379", 10001, ("n1", "n2"), (2, 2), (None, None), "/tmp", None, 0.0)
#: The node, with a script instead of Ray; nobody listens at the head's address.
NODE = """
import sys
from ray_downloader.slurm import ray_node
ray_node.ray_start = lambda plan, node, address, folder, store: ["sh", "-c", sys.argv[2], str(folder)]
ray_node.is_listening = lambda address: False
ray_node.memory_sentence = lambda name: "much"
sys.exit(ray_node.main(sys.argv[1]))
"""


@dataclass
class Node:
    """The process of a node, whose standard input is a pipe as `srun` makes it.

    Args:
        process: The node.
        scratch: Its folder.
        token: The token of the job's Ray.
    """

    process: subprocess.Popen[str]
    scratch: Path
    token: Path

    def end(self, act: Callable[[], object]) -> tuple[int, str]:
        """Let Ray come up, do something, and wait for the end; the exit code and what was said."""
        assert self.process.stderr is not None
        assert self.process.stderr.readline() == "up\n"
        act()
        return self.process.wait(), self.process.stderr.read()


StartNode = Callable[..., Node]


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[StartNode]:
    """Starts nodes of job 7 whose Ray is a script."""
    processes: list[subprocess.Popen[str]] = []
    token = tmp_path / "token"
    token.touch()

    def start(script: str, node: int = 0) -> Node:
        plan = replace(PLAN, scratch=str(tmp_path / "scratch"))
        environment = os.environ | {
            "SLURM_PROCID": str(node), "SLURM_JOB_ID": "7", "RAY_AUTH_TOKEN_PATH": str(token),
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-c", NODE, plan.to_json(), script],
            env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        return Node(process, tmp_path / "scratch" / f"rd-7-{node}", token)

    yield start
    for process in processes:
        with process:  # closes its pipes
            process.kill()


def test_a_node_whose_driver_ends_stops_its_ray_and_leaves_nothing(start_node: StartNode, tmp_path: Path) -> None:
    node = start_node(f"trap 'touch {tmp_path}/stopped; exit 0' TERM; echo up; while :; do sleep 0.01; done")

    def end_of_the_driver() -> None:
        assert node.scratch.is_dir()
        assert node.process.stdin is not None
        node.process.stdin.close()

    code, said = node.end(end_of_the_driver)
    assert (code, said) == (0, "")
    assert (tmp_path / "stopped").exists()
    assert not node.scratch.exists()
    assert not node.token.exists()


def test_a_node_that_slurm_stops_says_so(start_node: StartNode) -> None:
    node = start_node("echo up; exec sleep 600")
    code, said = node.end(lambda: node.process.send_signal(signal.SIGTERM))
    assert (code, said) == (0, f"{DEATH} it was stopped on n1 by SIGTERM\n")
    assert not node.scratch.exists()


def test_a_node_whose_ray_ends_says_why(start_node: StartNode) -> None:
    node = start_node(
        "echo up; read line < /dev/stdin; mkdir -p $0/session_latest/logs; cd $0/session_latest/logs;"
        " echo out of luck > gcs_server.err; echo quiet > raylet.err; echo chatter > dashboard.err;"
        " echo 'gcs_server.out tail (exit code(s)=-9)'; exit 1"
    )
    code, said = node.end(lambda: None)
    assert code == 1
    assert said.splitlines() == [
        "gcs_server.out tail (exit code(s)=-9)",
        "gcs_server.err: out of luck",
        "raylet.err: quiet",
        f"{DEATH} its gcs_server on n1 was killed by SIGKILL (much)",
        ENDED,
    ]
    assert not node.scratch.exists()
    assert not node.token.exists(), "without its head, the job's Ray is over"


def test_a_node_that_finds_no_head_ends_and_the_token_is_kept_for_the_others(start_node: StartNode) -> None:
    node = start_node("echo never", node=1)
    assert node.process.stderr is not None
    assert node.process.stderr.read().splitlines() == ["no Ray head listened at 10.0.0.1:6379 within 0 s", ENDED]
    assert node.process.wait() == 1
    assert node.token.exists()


def test_a_folder_that_cannot_be_made_is_said_in_one_line(start_node: StartNode, tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file")
    node = start_node("echo never")
    assert node.process.stderr is not None
    said = node.process.stderr.read().splitlines()
    assert node.process.wait() == 1
    assert said[0].startswith("Ray cannot run here: [Errno 20] Not a directory")
    assert said[1:] == [ENDED]


@pytest.mark.parametrize(
    ("node", "interface", "address"),
    [(0, None, "10.0.0.1"), (0, "ib0", "10.0.0.1"), (1, None, "towards 10.0.0.1"), (1, "ib0", "of ib0")],
    ids=["head", "head with an interface", "worker", "worker with an interface"],
)
def test_ray_listens_where_the_others_reach_it_in_a_folder_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: int, interface: str | None, address: str
) -> None:
    started: list[tuple[int, str, Path, int, int]] = []

    def ray_start(_plan: NodePlan, node: int, address: str, folder: Path, store_bytes: int) -> list[str]:
        started.append((node, address, folder, folder.parent.stat().st_mode & 0o777, store_bytes))
        return ["true"]

    monkeypatch.setattr(ray_node, "ray_start", ray_start)
    monkeypatch.setattr(ray_node, "is_listening", lambda _: True)
    monkeypatch.setattr(ray_node, "own_address_towards", lambda host: f"towards {host}")
    monkeypatch.setattr(ray_node, "address_of_interface", lambda name: f"of {name}")
    scratch = tmp_path / "rd-7-0"
    (scratch / "of an earlier run").mkdir(parents=True)
    _run_ray(replace(PLAN, interface=interface), node, scratch)
    assert started == [(node, address, scratch / "ray", 0o700, 83_886_080)]
    assert list(scratch.iterdir()) == []


def test_only_folders_of_jobs_that_are_over_are_removed(fake: Fake, tmp_path: Path) -> None:
    fake(
        "scontrol", 'case "$4" in 5) echo "JobId=5 JobState=RUNNING" ;; *) echo "Invalid job id specified" >&2 ;; esac'
    )
    scratch = tmp_path / "scratch"
    for name in ("rd-4-1", "rd-5-0", "rd-7-0", "rd-mine-1", "other"):
        (scratch / name / "ray").mkdir(parents=True)
    _remove_leftovers(scratch / "rd-7-0")
    assert sorted(path.name for path in scratch.iterdir()) == ["other", "rd-5-0", "rd-mine-1"]


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"cluster\.interface=no-such0 does not exist"):
        _own_address(replace(PLAN, interface="no-such0"), "10.0.0.1")


def test_waiting_ends_with_what_is_waited_for_or_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now_s[0], sleep=lambda seconds: now_s.__setitem__(0, now_s[0] + seconds))
    monkeypatch.setattr(ray_node, "time", clock)
    assert _within(5.0, lambda: now_s[0] >= 4.0)
    assert 4.0 <= now_s[0] < 4.5
    assert not _within(5.0, lambda: False)
    assert 9.0 <= now_s[0] < 9.8
