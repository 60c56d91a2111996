"""When the profile runs as a Slurm step, how often it is tried, and what is tried when `srun` fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.slurm import profile_step
from ray_downloader.slurm.allocation import Allocation, Node
from ray_downloader.slurm.profile_step import ATTEMPTS, PLUGIN_VARIABLE, ProfileStepError, run_profile_step

TWO_NODES = Allocation(7, (Node("n1", 2), Node("n2", 3)), own_node="n1")
ONE_NODE = Allocation(7, (Node("n1", 2),), own_node="n1")


@dataclass
class Step:
    """What the step called, and what it is answered."""

    codes: list[int] = field(default_factory=lambda: [0])
    nodes: list[Allocation] = field(default_factory=lambda: [TWO_NODES])
    mpiexec: Path | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def srun(self, command: Any, environment: Any, limits: Any) -> int:
        self.calls.append(("srun", command, limits))
        return self.codes.pop(0)

    def run_ranks(self, launch: Any, settings_file: Path, limits: Any, environment: dict[str, str]) -> int:
        self.calls.append(("mpiexec", launch, environment))
        return self.codes.pop(0)

    def usable(self, allocation: Allocation, _: RunLayout) -> Allocation:
        return self.nodes.pop(0) if self.nodes else allocation

    def here(self, *_: object) -> None:
        self.calls.append(("here",))

    def names(self) -> list[str]:
        return [call[0] for call in self.calls]


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Step:
    step = Step()

    @dataclass
    class Workload:
        pieces: tuple[str, ...] = ("piece",)

    answers: dict[str, Any] = {
        "required_allocation": lambda _: TWO_NODES,
        "fold_parts": lambda _: 12,
        "library_plugin": lambda: "pmi2",
        "load_ignored_servers": lambda _: frozenset(),
        "plan_workload": lambda *_: Workload(),
        "limits_of": lambda workload, ranks, settings: ranks,
        "usable_nodes": step.usable,
        "watch_ranks": step.srun,
        "run_ranks": step.run_ranks,
        "profile_servers": step.here,
        "find_mpiexec": lambda *_: step.mpiexec,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(profile_step, name, answer)
    monkeypatch.delenv(PLUGIN_VARIABLE, raising=False)
    return step


def run(tmp_path: Path, launcher: str = "auto") -> None:
    given = {"path_to_input": "list.txt", "path_to_output": tmp_path, "profile": {"launcher": launcher}}
    settings = Settings.from_config(given)
    run_profile_step(settings, RunLayout.of(settings))


def test_every_cpu_of_the_job_is_a_rank_of_one_step(tmp_path: Path, step: Step) -> None:
    run(tmp_path)
    ((name, command, ranks),) = step.calls
    assert (name, ranks) == ("srun", 5)
    assert "--mpi=pmi2" in command
    assert str(tmp_path / "settings.json") in command


def test_a_site_may_set_the_plugin(tmp_path: Path, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGIN_VARIABLE, "pmix")
    run(tmp_path)
    assert "--mpi=pmix" in step.calls[0][1]


def test_a_step_that_fails_is_tried_once_more(tmp_path: Path, step: Step) -> None:
    step.codes = [1, 0]
    run(tmp_path)
    assert step.names() == ["srun", "srun"]


def test_a_node_that_is_lost_costs_no_attempt(tmp_path: Path, step: Step) -> None:
    step.codes = [1, 1, 0]
    step.nodes = [TWO_NODES, TWO_NODES, ONE_NODE]
    run(tmp_path)
    assert [ranks for _, _, ranks in step.calls] == [5, 5, 2]


def test_after_the_attempts_the_librarys_own_launcher_is_tried(tmp_path: Path, step: Step) -> None:
    step.codes, step.mpiexec = [1] * ATTEMPTS + [0], Path("/opt/bin/mpiexec")
    run(tmp_path)
    assert step.names() == ["srun"] * ATTEMPTS + ["mpiexec"]
    _, launch, environment = step.calls[-1]
    assert (launch.mpiexec, launch.ranks) == (Path("/opt/bin/mpiexec"), 5)
    assert (environment["SLURM_JOB_NODELIST"], environment["SLURM_NODELIST"]) == ("n1,n2", "n1,n2")
    assert environment["SLURM_TASKS_PER_NODE"] == "2,3"


@pytest.mark.parametrize(("mpiexec", "tried"), [(None, 0), (Path("mpiexec"), 1)])
def test_when_nothing_works_the_sentence_names_the_plugin_and_what_is_kept(
    tmp_path: Path, step: Step, mpiexec: Path | None, tried: int
) -> None:
    step.codes, step.mpiexec = [1] * (ATTEMPTS + 1), mpiexec
    with pytest.raises(ProfileStepError, match=r"12 servers are kept.*--mpi=pmi2.*RAY_DOWNLOADER_MPI_PLUGIN"):
        run(tmp_path)
    assert step.names() == ["srun"] * ATTEMPTS + ["mpiexec"] * tried


def test_a_plugin_that_was_set_is_not_gone_round(tmp_path: Path, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGIN_VARIABLE, "pmix")
    step.codes, step.mpiexec = [1] * ATTEMPTS, Path("mpiexec")
    with pytest.raises(ProfileStepError):
        run(tmp_path)
    assert step.names() == ["srun"] * ATTEMPTS


@pytest.mark.parametrize("reason", ["nothing is left", "no plugin", "another launcher"])
def test_otherwise_the_profile_runs_in_this_process(
    tmp_path: Path, step: Step, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    if reason == "nothing is left":
        monkeypatch.setattr(profile_step, "plan_workload", lambda *_: type("Workload", (), {"pieces": ()}))
    if reason == "no plugin":
        monkeypatch.setattr(profile_step, "library_plugin", lambda: None)
    run(tmp_path, launcher="inline" if reason == "another launcher" else "auto")
    assert step.names() == ["here"]
