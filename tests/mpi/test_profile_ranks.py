"""Real MPI ranks: one world of several, the guard against several worlds of one, and ranks that die."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.profile import run_profile
from ray_downloader.profile.launch import find_mpiexec
from ray_downloader.profile.table import load_profiled_rates
from ray_downloader.profile.world import RANKS_VARIABLE
from ray_downloader.run_folder.layout import RunLayout
from tests.support.partitioned import partitioned_run
from tests.support.running import RunningOrigin, running_origin

MPIEXEC = find_mpiexec(Path(sys.executable), os.environ.get("PATH"))
pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(MPIEXEC is None, reason="no mpiexec; `pip install 'ray-downloader[mpich]'` has one"),
]
HOSTS = [f"host{number}.example" for number in range(6)]


@pytest.fixture(scope="module")
def origin() -> Iterator[RunningOrigin]:
    with running_origin() as running:
        yield running


def run_folder(folder: Path, origin: RunningOrigin, **profile: Any) -> tuple[Settings, RunLayout]:
    return partitioned_run(
        folder,
        [f"http://{host}/{number}.jpg" for host in HOSTS for number in range(20)],
        network={"connect_to": origin.connect_to},
        profile={"max_seconds": 10.0, **profile},
        downloader_parameters={"default_rate_limit": 50.0},
    )


def run_ranks(
    ranks: int, layout: RunLayout, *, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [
        str(MPIEXEC),
        "-n",
        str(ranks),
        sys.executable,
        "-m",
        "ray_downloader.profile",
        str(layout.settings_file),
    ]
    return subprocess.run(
        command, env={**os.environ, **(environ or {})}, capture_output=True, text=True, timeout=60, check=False
    )


def test_two_ranks_share_the_servers_and_rank_0_writes_the_table(origin: RunningOrigin, tmp_path: Path) -> None:
    _, layout = run_folder(tmp_path, origin)
    ended = run_ranks(2, layout)
    assert ended.returncode == 0, ended.stderr
    assert set(load_profiled_rates(layout)) == set(HOSTS)
    assert len(origin.seen()) == len(HOSTS) * 6  # each server's robots.txt and samples once
    assert "rank 0 of 2, 3 of 3 servers" in ended.stdout and "rank 1 of 2, 3 of 3 servers" in ended.stdout


def test_the_pipeline_starts_mpiexec_by_itself(origin: RunningOrigin, tmp_path: Path) -> None:
    settings, layout = run_folder(tmp_path, origin, launcher="mpiexec")
    run_profile(settings, layout)
    assert set(load_profiled_rates(layout)) == set(HOSTS)


def test_more_processes_than_mpi_sees_abort_with_a_sentence_before_anything_is_sent(
    origin: RunningOrigin, tmp_path: Path
) -> None:
    _, layout = run_folder(tmp_path, origin)
    ended = run_ranks(2, layout, environ={RANKS_VARIABLE: "4"})
    assert ended.returncode != 0
    assert "started 4 processes but MPI sees a world of 2" in ended.stderr
    assert origin.seen() == [] and not layout.profiles_table.exists()


def test_a_process_of_a_launcher_that_mpi_does_not_speak_aborts(origin: RunningOrigin, tmp_path: Path) -> None:
    _, layout = run_folder(tmp_path, origin)
    ended = subprocess.run(
        [sys.executable, "-m", "ray_downloader.profile", str(layout.settings_file)],
        env={**os.environ, "SLURM_STEP_NUM_TASKS": "4"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "MPI sees a world of 1" in ended.stderr and "srun --mpi=" in ended.stderr


def test_a_rank_0_that_cannot_plan_ends_the_others_too(origin: RunningOrigin, tmp_path: Path) -> None:
    _, layout = run_folder(tmp_path, origin)
    layout.servers_table.unlink()
    ended = run_ranks(2, layout)
    assert ended.returncode != 0
    assert "run the partition stage first" in ended.stderr


def test_the_results_of_a_killed_world_are_kept_and_one_rank_does_the_rest(
    origin: RunningOrigin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, layout = run_folder(tmp_path, origin)
    killer = tmp_path / "bin" / "mpiexec"
    killer.parent.mkdir()
    imports = "import sys; from pathlib import Path; from ray_downloader.run_folder.layout import RunLayout"
    note = f"{imports}\n{KILLED_WORLD}"
    killer.write_text(f"#!{sys.executable}\n{note}")
    killer.chmod(0o755)
    monkeypatch.setattr("ray_downloader.profile.stage.find_mpiexec", lambda *_: killer)
    run_profile(settings, layout)
    rates = load_profiled_rates(layout)
    assert set(rates) == set(HOSTS)
    assert rates[HOSTS[0]] == 42.0
    assert HOSTS[0] not in {entry.host for entry in origin.seen()}


#: Stands for an mpiexec one of whose ranks was killed after it had finished one server.
KILLED_WORLD = f"""
from ray_downloader.profile.estimate import ServerProfile
from ray_downloader.profile.table import append_part, row_of
from ray_downloader.config.settings import Settings
layout = RunLayout.of(Settings.load(Path(sys.argv[-1])))
append_part(layout, 1, row_of(ServerProfile({HOSTS[0]!r}, 1, rate_limit=42.0)))
sys.exit(137)
"""
