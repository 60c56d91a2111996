"""What an embedded Ray leaves behind is removed, unless somebody may still need it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ray_downloader.cluster.sessions import KEPT_S, removing_sessions


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return int(done.stdout)


def a_session(folder: Path, process: int, age_s: float = 0.0) -> Path:
    session = folder / f"session_2026-11-28_00-08-36_951037_{process}"
    (session / "logs").mkdir(parents=True)
    (session / "logs" / "gcs_server.out").write_text("started\n")
    os.utime(session, (time.time() - age_s,) * 2)
    return session


def test_the_session_of_a_run_that_ended_well_is_removed(tmp_path: Path) -> None:
    with removing_sessions(tmp_path):
        own = a_session(tmp_path, os.getpid())
        (tmp_path / "session_latest").symlink_to(own)
    assert list(tmp_path.iterdir()) == []


def test_the_logs_of_a_run_that_failed_are_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="failed"), removing_sessions(tmp_path):
        own = a_session(tmp_path, os.getpid())
        raise ValueError("failed")
    assert own.is_dir()


def test_sessions_of_others_go_a_day_after_their_process(tmp_path: Path, gone: int) -> None:
    old, running = a_session(tmp_path, gone, KEPT_S + 60.0), a_session(tmp_path, os.getppid(), KEPT_S + 60.0)
    with removing_sessions(tmp_path):
        pass
    assert not old.exists()
    assert running.is_dir()
    young = a_session(tmp_path, gone, KEPT_S - 60.0)
    (tmp_path / "session_latest").symlink_to(young)
    other = tmp_path / "session_notes_of_mine"
    other.mkdir()
    with removing_sessions(tmp_path):
        pass
    assert young.is_dir() and (tmp_path / "session_latest").exists() and other.is_dir()
    assert KEPT_S == 86_400.0
