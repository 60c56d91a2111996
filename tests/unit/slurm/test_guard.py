"""Guards on two other nodes, for as long as the run lasts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ray_downloader.slurm import guard
from ray_downloader.slurm.allocation import Allocation, Node
from ray_downloader.slurm.guard import guarded


def allocation(*names: str) -> Allocation:
    return Allocation(7, tuple(Node(name, 4) for name in names), own_node=names[0])


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int]]:
    """The names and numbers with which guards were started; each is a process that ends with its input."""
    found: list[tuple[list[str], int]] = []

    def step(names: list[str], num_downloads: int) -> list[str]:
        found.append((names, num_downloads))
        return [sys.executable, "-c", "import sys; sys.stdin.read()"]

    monkeypatch.setattr(guard, "guard_step", step)
    return found


@pytest.mark.parametrize(
    ("names", "guards"),
    [
        (("a", "b"), ["b"]),
        (("b", "a", "c"), ["a", "c"]),
        (("a", "b", "c", "d"), ["b", "c"]),
    ],
)
def test_two_other_nodes_watch_over_this_one(
    started: list[tuple[list[str], int]], names: tuple[str, ...], guards: list[str]
) -> None:
    with guarded(allocation(*names), 3):
        assert started == [(guards, 3)]


def test_a_job_on_one_node_has_nobody_to_watch_over_it(started: list[tuple[list[str], int]]) -> None:
    with guarded(allocation("a"), 3):
        assert started == []


def test_guards_end_with_the_run_however_it_ends(
    started: list[tuple[list[str], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    processes: list[subprocess.Popen[bytes]] = []
    end = guard.end_by_input
    monkeypatch.setattr(guard, "end_by_input", lambda process, s: processes.append(process) or end(process, s))
    with pytest.raises(KeyError), guarded(allocation("a", "b"), 3):
        raise KeyError
    assert len(started) == 1
    assert [process.returncode for process in processes] == [0]
